#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Advice to the system about the pages of mapped files; storages of other kinds ignore it. It never changes what is read.
extension TensorStorage {
    /// 2 MB: the most that systems map around a page that is read for the first time.
    private static let granularity = 2 << 20

    /// Takes the pages of `range`, with those mapped around them, out of the process's memory. They stay in the system's cache as
    /// long as there is room, and come back as they are read.
    package func releasePages(_ range: Range<Int>) {
        let start = range.lowerBound / Self.granularity * Self.granularity
        let end = min((range.upperBound + Self.granularity - 1) / Self.granularity * Self.granularity, byteCount)
        advise(start..<max(start, end), MADV_DONTNEED)
    }

    /// Has the system start to read the pages of `range` from the disk where they aren't in its cache, without waiting for them.
    package func readAhead(_ range: Range<Int>) {
        let page = Int(getpagesize())
        advise(range.lowerBound / page * page..<range.upperBound, MADV_WILLNEED)
    }

    private func advise(_ range: Range<Int>, _ advice: Int32) {
        guard isMappedFile, !range.isEmpty, range.upperBound <= byteCount else { return }
        unsafe madvise(base + range.lowerBound, range.count, advice)
    }
}
