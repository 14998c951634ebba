import GraphRuntime

/// Writes values as messages of protobuf's wire format: TensorProto, SequenceProto, MapProto and OptionalProto of onnx.proto3.
package enum ValueEncoding {
    /// Protobuf's own limit for a message.
    package static let largestMessage = Int(Int32.max)

    /// The message that stands for a value.
    ///
    /// - Parameters:
    ///   - value: a tensor of any type, a map, a sequence, or an empty optional.
    ///   - name: the value's name, which the message carries.
    ///   - type: the declared type, which says whether a tensor or a sequence is that of an optional.
    /// - Throws: ``LoadError`` of kind `limit` where it takes more bytes than a message may have.
    package static func message(_ value: Value, name: String, as type: ValueType?) throws(LoadError) -> [UInt8] {
        guard byteCount(value) < largestMessage - (1 << 16) else {
            throw LoadError(
                .limit, "\"\(name)\" takes \(byteCount(value)) bytes, and a protobuf message has at most \(largestMessage)")
        }
        var message = WireMessage()
        switch (value, type) {
        case (.empty, _):
            message.text(1, name)
            message.number(2, kind(of: type))
        case (.tensor(let tensor), .optional):
            message.text(1, name)
            message.number(2, 1)
            message.bytes(3, encoded(tensor, name: ""))
        case (.sequence(let tensors), .optional):
            message.text(1, name)
            message.number(2, 3)
            message.bytes(5, encoded(tensors, name: ""))
        case (.map(let map), .optional):
            message.text(1, name)
            message.number(2, 4)
            message.bytes(6, encoded(map, name: ""))
        case (.maps(let maps), .optional):
            message.text(1, name)
            message.number(2, 3)
            message.bytes(5, encoded(maps, name: ""))
        case (.tensor(let tensor), _): return encoded(tensor, name: name)
        case (.sequence(let tensors), _): return encoded(tensors, name: name)
        case (.map(let map), _): return encoded(map, name: name)
        case (.maps(let maps), _): return encoded(maps, name: name)
        }
        return message.content
    }

    /// OptionalProto.DataType of what an empty optional would hold.
    private static func kind(of type: ValueType?) -> Int {
        guard case .optional(let element)? = type else { return 0 }
        return switch element {
        case .tensor: 1
        case .sparseTensor: 2
        case .sequence: 3
        case .map: 4
        case .optional: 5
        }
    }

    private static func byteCount(_ value: Value) -> Int {
        switch value {
        case .tensor(let tensor): byteCount(tensor)
        case .sequence(let tensors): tensors.reduce(0) { $0 + byteCount($1) + 64 }
        case .map(let map): byteCount(map)
        case .maps(let maps): maps.reduce(0) { $0 + byteCount($1) }
        case .empty: 0
        }
    }

    /// Every value is a message of its own.
    private static func byteCount(_ map: ValueMap) -> Int {
        byteCount(map.keys) + byteCount(map.values) + 64 * (map.count + 1)
    }

    private static func byteCount(_ tensor: Tensor) -> Int {
        tensor.strings.map { $0.reduce(0) { $0 + $1.utf8.count + 11 } } ?? tensor.byteCount
    }

    private static func encoded(_ tensors: [Tensor], name: String) -> [UInt8] {
        var message = WireMessage()
        message.text(1, name)
        message.number(2, 1)
        for tensor in tensors { message.bytes(3, encoded(tensor, name: "")) }
        return message.content
    }

    private static func encoded(_ maps: [ValueMap], name: String) -> [UInt8] {
        var message = WireMessage()
        message.text(1, name)
        message.number(2, 4)
        for map in maps { message.bytes(6, encoded(map, name: "")) }
        return message.content
    }

    private static func encoded(_ map: ValueMap, name: String) -> [UInt8] {
        var message = WireMessage()
        message.text(1, name)
        message.number(2, Int(map.keys.dtype.rawValue))
        if let strings = map.keys.strings {
            for string in strings { message.bytes(4, Array(string.utf8)) }
        } else if let numbers = try? map.keys.integers() {
            for number in numbers { message.number(3, number) }
        }
        message.bytes(5, encoded((0..<map.count).compactMap { try? map.values.element($0) }, name: ""))
        return message.content
    }

    private static func encoded(_ tensor: Tensor, name: String) -> [UInt8] {
        var message = WireMessage()
        for extent in tensor.shape.dimensions { message.number(1, extent) }
        message.number(2, Int(tensor.dtype.rawValue))
        if let strings = tensor.strings {
            for string in strings { message.bytes(6, Array(string.utf8)) }
            message.text(8, name)
        } else {
            message.text(8, name)
            message.bytes(9, Array(tensor.bytes))
        }
        return message.content
    }
}

/// A message that is being written.
private struct WireMessage {
    private(set) var content: [UInt8] = []

    mutating func number(_ field: Int, _ value: Int) {
        varint(UInt64(field << 3))
        varint(UInt64(bitPattern: Int64(value)))
    }

    mutating func bytes(_ field: Int, _ value: [UInt8]) {
        varint(UInt64(field << 3 | 2))
        varint(UInt64(value.count))
        content += value
    }

    /// An empty text is the field's default, and left out.
    mutating func text(_ field: Int, _ value: String) {
        if !value.isEmpty { bytes(field, Array(value.utf8)) }
    }

    private mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            content.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        content.append(UInt8(rest))
    }
}
