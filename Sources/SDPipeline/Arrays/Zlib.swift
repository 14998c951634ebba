import CZlib

/// What a zip archive needs of zlib: the checksum and the decompressor (RFC 1951).
enum Zlib {
    /// The CRC-32 of the bytes.
    static func checksum(_ bytes: [UInt8]) -> UInt32 {
        let result = unsafe bytes.withUnsafeBufferPointer { unsafe crc32_z(0, $0.baseAddress, $0.count) }
        return UInt32(truncatingIfNeeded: result)
    }

    /// The `size` bytes that a raw deflate stream stands for. A stream of any other length is refused as soon as that shows.
    ///
    /// - Throws: ``NPZError``.
    static func inflated(_ data: ArraySlice<UInt8>, size: Int) throws -> [UInt8] {
        var stream = unsafe z_stream()
        // Negative: without zlib's own header.
        guard unsafe inflateInit2_(&stream, -MAX_WBITS, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            throw NPZError("zlib can't begin")
        }
        defer { unsafe inflateEnd(&stream) }
        // One byte more than there should be, so that a stream that goes on shows.
        return try unsafe [UInt8](unsafeUninitializedCapacity: size + 1) { target, initialized in
            var (read, status) = (0, Z_OK)
            unsafe data.withUnsafeBufferPointer { source in
                while status == Z_OK {
                    let (given, room) = (min(source.count - read, 1 << 30), min(size + 1 - initialized, 1 << 30))
                    unsafe stream.next_in = unsafe UnsafeMutablePointer(mutating: source.baseAddress.map { unsafe $0 + read })
                    unsafe stream.avail_in = UInt32(given)
                    unsafe stream.next_out = unsafe target.baseAddress.map { unsafe $0 + initialized }
                    unsafe stream.avail_out = UInt32(room)
                    status = unsafe inflate(&stream, Z_NO_FLUSH)
                    let (taken, made) = unsafe (given - Int(stream.avail_in), room - Int(stream.avail_out))
                    read += taken
                    initialized += made
                }
            }
            guard initialized <= size else { throw NPZError("it has more than the \(size) bytes that it is said to have") }
            guard status == Z_STREAM_END, initialized == size else {
                throw NPZError("its compressed data are damaged or cut off behind \(initialized) of \(size) bytes")
            }
        }
    }

    /// What a stream with zlib's header (RFC 1950) stands for; nil where it is damaged, cut off, or stands for more than `limit` bytes.
    static func inflated(zlib data: ArraySlice<UInt8>, limit: Int) -> [UInt8]? {
        var stream = unsafe z_stream()
        guard unsafe inflateInit_(&stream, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK, data.count < 1 << 30
        else {
            return nil
        }
        defer { unsafe inflateEnd(&stream) }
        var result: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 1 << 16)
        var read = 0
        while true {
            var (status, made) = (Z_OK, 0)
            unsafe data.withUnsafeBufferPointer { source in
                unsafe part.withUnsafeMutableBufferPointer { target in
                    unsafe stream.next_in = unsafe UnsafeMutablePointer(mutating: source.baseAddress.map { unsafe $0 + read })
                    unsafe stream.avail_in = UInt32(source.count - read)
                    unsafe stream.next_out = target.baseAddress
                    unsafe stream.avail_out = UInt32(target.count)
                    status = unsafe inflate(&stream, Z_NO_FLUSH)
                    read = unsafe source.count - Int(stream.avail_in)
                    made = unsafe target.count - Int(stream.avail_out)
                }
            }
            guard status == Z_OK || status == Z_STREAM_END, result.count + made <= limit else { return nil }
            result += part[..<made]
            if status == Z_STREAM_END { return result }
            // Without room that was left over, the input has come to its end before the stream has.
            if made < part.count { return nil }
        }
    }
}
