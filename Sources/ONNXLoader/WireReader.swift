/// The tokens of protobuf's wire format (protobuf encoding guide: varints, tags, lengths), with a check of every end.
@safe
struct WireReader {
    let bytes: UnsafeRawBufferPointer
    /// The next byte to read.
    var position: Int
    /// The end of the message that is being read; not beyond the end of `bytes`.
    let end: Int

    init(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) {
        unsafe self.bytes = unsafe bytes
        position = range.lowerBound
        end = min(range.upperBound, bytes.count)
    }

    var isAtEnd: Bool { position >= end }

    @inline(__always)
    mutating func varint() throws(LoadError) -> UInt64 {
        if position < end, unsafe bytes[position] < 0x80 {
            position += 1
            return unsafe UInt64(bytes[position - 1])
        }
        return try longVarint()
    }

    private mutating func longVarint() throws(LoadError) -> UInt64 {
        let start = position
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard position < end else {
                throw LoadError(.wireFormat, "the message is cut off within a number", byteOffset: start)
            }
            let byte = unsafe bytes[position]
            position += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        throw LoadError(.wireFormat, "a number takes more than 10 bytes", byteOffset: start)
    }

    /// The number and the wire type of the next field.
    mutating func tag() throws(LoadError) -> (field: UInt32, type: WireType) {
        let start = position
        let tag = try varint()
        guard tag >> 3 >= 1, tag >> 3 < 1 << 29 else {
            throw LoadError(.wireFormat, "\(tag >> 3) is no number of a field", byteOffset: start)
        }
        guard let type = WireType(rawValue: UInt8(tag & 7)) else {
            throw LoadError(.wireFormat, "field \(tag >> 3) has the unknown wire type \(tag & 7)", byteOffset: start)
        }
        return (UInt32(tag >> 3), type)
    }

    /// Steps over the value of a field and returns where it lies: for a field with a length, what comes after the length.
    mutating func value(of type: WireType) throws(LoadError) -> Range<Int> {
        let start = position
        switch type {
        case .varint:
            _ = try varint()
            return start..<position
        case .fixed64: return try take(8, from: start)
        case .fixed32: return try take(4, from: start)
        case .bytes:
            let length = try varint()
            guard length <= UInt64(end - position) else {
                throw LoadError(
                    .wireFormat, "a field of \(length) bytes is cut off: its message has \(end - position) left",
                    byteOffset: start)
            }
            return try take(Int(length), from: start)
        }
    }

    private mutating func take(_ count: Int, from start: Int) throws(LoadError) -> Range<Int> {
        guard count <= end - position else {
            throw LoadError(.wireFormat, "the message is cut off within a field", byteOffset: start)
        }
        position += count
        return position - count..<position
    }
}

/// How the value of a field is written. Groups (3 and 4) are in no ONNX message.
enum WireType: UInt8 {
    case varint = 0
    case fixed64 = 1
    case bytes = 2
    case fixed32 = 5
}
