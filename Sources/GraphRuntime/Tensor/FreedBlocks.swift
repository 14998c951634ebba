import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Memory that storages gave back, kept for the next ones of about the same size: the system would take the pages back and fill new ones
/// with zeros, which takes longer than to write the outputs of many a network.
@safe enum FreedBlocks {
    @safe private struct Block: @unchecked Sendable {
        let base: UnsafeMutableRawPointer
        let byteCount: Int
    }

    /// Smaller blocks `malloc` keeps itself; larger ones are worth their pages to others.
    private static let byteCounts = 128 << 10...32 << 20
    /// Bytes of all blocks at most.
    private static let capacity = 32 << 20

    /// The oldest first.
    private static let blocks = Mutex<[Block]>([])

    /// The smallest block of at least so many bytes, and at most a quarter more; nil where there is none.
    static func take(_ byteCount: Int) -> (base: UnsafeMutableRawPointer, byteCount: Int)? {
        guard byteCounts.contains(byteCount) else { return nil }
        return unsafe blocks.withLock { blocks in
            let fitting = blocks.indices.filter { (byteCount...byteCount + byteCount / 4).contains(blocks[$0].byteCount) }
            guard let index = fitting.min(by: { blocks[$0].byteCount < blocks[$1].byteCount }) else { return nil }
            let block = blocks.remove(at: index)
            return unsafe (block.base, block.byteCount)
        }
    }

    /// Keeps a block that nobody uses, or frees it.
    static func give(_ base: UnsafeMutableRawPointer, byteCount: Int) {
        guard byteCounts.contains(byteCount) else { return unsafe free(base) }
        let block = unsafe Block(base: base, byteCount: byteCount)
        blocks.withLock { blocks in
            blocks.append(block)
            while blocks.reduce(0, { $0 + $1.byteCount }) > capacity { unsafe free(blocks.removeFirst().base) }
        }
    }

    /// Frees all of them.
    static func removeAll() {
        blocks.withLock { blocks in
            for block in blocks { unsafe free(block.base) }
            blocks.removeAll()
        }
    }
}
