/// Writes protobuf messages byte by byte, without the loader's schema: what the tests build is independent of what they test.
struct Proto {
    var bytes: [UInt8] = []

    static func varint(_ value: UInt64) -> [UInt8] {
        var rest = value
        var result: [UInt8] = []
        while rest >= 0x80 {
            result.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        return result + [UInt8(rest)]
    }

    mutating func raw(_ more: [UInt8]) { bytes += more }

    mutating func tag(_ field: Int, _ wireType: Int) { raw(Self.varint(UInt64(field << 3 | wireType))) }

    mutating func int(_ field: Int, _ value: Int64) {
        tag(field, 0)
        raw(Self.varint(UInt64(bitPattern: value)))
    }

    mutating func data(_ field: Int, _ value: [UInt8]) {
        tag(field, 2)
        raw(Self.varint(UInt64(value.count)))
        raw(value)
    }

    mutating func string(_ field: Int, _ value: String) { data(field, Array(value.utf8)) }

    mutating func message(_ field: Int, _ value: Proto) { data(field, value.bytes) }

    mutating func packed(_ field: Int, _ values: [Int64]) {
        data(field, values.flatMap { Self.varint(UInt64(bitPattern: $0)) })
    }
}

/// A TensorProto.
///
/// - Parameter add: Writes the fields with the values.
func tensorProto(_ name: String, type: Int64, dims: [Int64], add: (inout Proto) -> Void = { _ in }) -> Proto {
    var proto = Proto()
    for extent in dims { proto.int(1, extent) }
    proto.int(2, type)
    proto.string(8, name)
    add(&proto)
    return proto
}

/// A float32 TensorProto with raw_data.
func floatTensor(_ name: String, _ values: [Float]) -> Proto {
    tensorProto(name, type: 1, dims: [Int64(values.count)]) { $0.data(9, littleEndian(values)) }
}

func littleEndian(_ values: [Float]) -> [UInt8] { unsafe values.withUnsafeBytes { unsafe Array($0) } }

/// A float32 TensorProto whose values are external.
func externalTensor(_ name: String, count: Int64, _ entries: [(String, String)]) -> Proto {
    tensorProto(name, type: 1, dims: [count]) { proto in
        for (key, value) in entries {
            var entry = Proto()
            entry.string(1, key)
            entry.string(2, value)
            proto.message(13, entry)
        }
        proto.int(14, 1)
    }
}

/// A NodeProto.
func nodeProto(
    _ type: String, _ inputs: [String], _ outputs: [String], name: String = "", domain: String = "", attributes: [Proto] = []
) -> Proto {
    var proto = Proto()
    for input in inputs { proto.string(1, input) }
    for output in outputs { proto.string(2, output) }
    if !name.isEmpty { proto.string(3, name) }
    proto.string(4, type)
    for attribute in attributes { proto.message(5, attribute) }
    if !domain.isEmpty { proto.string(7, domain) }
    return proto
}

/// An AttributeProto.
func attributeProto(_ name: String, type: Int64?, add: (inout Proto) -> Void = { _ in }) -> Proto {
    var proto = Proto()
    proto.string(1, name)
    add(&proto)
    if let type { proto.int(20, type) }
    return proto
}

func graphAttribute(_ name: String, _ graph: Proto) -> Proto { attributeProto(name, type: 5) { $0.message(6, graph) } }

/// A ValueInfoProto, of a float32 tensor of the given extents (numbers or names).
func valueProto(_ name: String, elementType: Int64 = 1, _ extents: [String]? = nil) -> Proto {
    var tensor = Proto()
    tensor.int(1, elementType)
    if let extents {
        var shape = Proto()
        for extent in extents {
            var dimension = Proto()
            if let number = Int64(extent) { dimension.int(1, number) } else if !extent.isEmpty { dimension.string(2, extent) }
            shape.message(1, dimension)
        }
        tensor.message(2, shape)
    }
    var type = Proto()
    type.message(1, tensor)
    var proto = Proto()
    proto.string(1, name)
    proto.message(2, type)
    return proto
}

/// A GraphProto.
func graphProto(
    nodes: [Proto] = [], inputs: [String] = [], outputs: [String] = [], initializers: [Proto] = [],
    add: (inout Proto) -> Void = { _ in }
) -> Proto {
    var proto = Proto()
    for node in nodes { proto.message(1, node) }
    proto.string(2, "g")
    for tensor in initializers { proto.message(5, tensor) }
    for input in inputs { proto.message(11, valueProto(input)) }
    for output in outputs { proto.message(12, valueProto(output)) }
    add(&proto)
    return proto
}

/// A FunctionProto in the domain `local`.
func functionProto(
    _ name: String, inputs: [String], outputs: [String], nodes: [Proto], opset: Int64? = 18,
    add: (inout Proto) -> Void = { _ in }
) -> Proto {
    var proto = Proto()
    proto.string(1, name)
    for input in inputs { proto.string(4, input) }
    for output in outputs { proto.string(5, output) }
    for node in nodes { proto.message(7, node) }
    if let opset { proto.message(9, opsetProto("", opset)) }
    proto.string(10, "local")
    add(&proto)
    return proto
}

func opsetProto(_ domain: String, _ version: Int64) -> Proto {
    var proto = Proto()
    proto.string(1, domain)
    proto.int(2, version)
    return proto
}

/// The bytes of a ModelProto.
func modelBytes(
    _ graph: Proto, irVersion: Int64 = 8, opsets: [(String, Int64)] = [("", 17), ("local", 1)], functions: [Proto] = []
) -> [UInt8] {
    var proto = Proto()
    proto.int(1, irVersion)
    proto.message(7, graph)
    for (domain, version) in opsets { proto.message(8, opsetProto(domain, version)) }
    for function in functions { proto.message(25, function) }
    return proto.bytes
}
