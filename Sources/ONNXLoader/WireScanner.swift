import COnnxProto
import CProtobufC

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// A part of the values of a tensor, as it lies in the file.
struct Payload {
    /// The field of TensorProto that the bytes are of, such as 9 for raw_data.
    let field: UInt32
    /// For packed fields and raw_data the values; for fields that aren't packed a run of tags and values.
    var range: Range<Int>
    let isPacked: Bool
}

/// Walks a message in the wire format and writes a copy of it that holds all but the values of tensors, which may be gigabytes and
/// which protobuf-c would copy. What the copy leaves out is noted in ``payloads``, and a field that no file has (`payload` of
/// TensorProto) names it by index; a file's own field of that number is dropped as every unknown one.
///
/// Everything that protobuf-c would take unseen is checked on the way: lengths against the end of the enclosing message, wire
/// types against the schema, text for UTF-8, depth, and embedded messages given twice. The schema is protobuf-c's own description
/// of the generated messages.
@safe
struct WireScanner {
    typealias Descriptor = UnsafePointer<ProtobufCMessageDescriptor>

    /// The message without the values of its tensors.
    private(set) var skeleton: [UInt8] = []
    private(set) var payloads: [Payload] = []

    private let bytes: UnsafeRawBufferPointer
    private let budget: LoadBudget
    private let tensor: Descriptor
    private let model: Descriptor

    /// Messages nested more deeply than this are refused: neither protobuf-c nor the readers after it bound their recursion.
    static let maximumDepth = 100
    /// The field of TensorProto, in the copy alone, that holds indices into ``payloads``.
    private static let payloadField: UInt32 = 500_000_000

    init(_ bytes: UnsafeRawBufferPointer, budget: LoadBudget) throws(LoadError) {
        unsafe self.bytes = unsafe bytes
        self.budget = budget
        var tensorMessage = unsafe Onnx__TensorProto()
        unsafe onnx__tensor_proto__init(&tensorMessage)
        var modelMessage = unsafe Onnx__ModelProto()
        unsafe onnx__model_proto__init(&modelMessage)
        guard let tensor = unsafe tensorMessage.base.descriptor, let model = unsafe modelMessage.base.descriptor else {
            throw LoadError(.wireFormat, "the messages' descriptions are missing")
        }
        unsafe self.tensor = unsafe tensor
        unsafe self.model = unsafe model
    }

    mutating func scan(_ descriptor: Descriptor) throws(LoadError) {
        unsafe try scan(0..<bytes.count, descriptor, depth: 0)
        guard skeleton.count <= Int(Int32.max) else {
            throw LoadError(
                .wireFormat, "the message takes \(skeleton.count) bytes without its tensors, at most \(Int32.max) can be")
        }
    }

    private mutating func scan(_ range: Range<Int>, _ descriptor: Descriptor, depth: Int) throws(LoadError) {
        guard depth < Self.maximumDepth else {
            throw LoadError(
                .wireFormat, "messages are nested more than \(Self.maximumDepth) deep", byteOffset: range.lowerBound)
        }
        unsafe try budget.takeMessage(bytes: Int(descriptor.pointee.sizeof_message) + Self.messageBytes)
        var reader = unsafe WireReader(bytes, range)
        let firstPayload = payloads.count
        var seen: UInt64 = 0
        while !reader.isAtEnd {
            let start = reader.position
            let (number, type) = try reader.tag()
            let value = try reader.value(of: type)
            guard let field = unsafe protobuf_c_message_descriptor_get_field(descriptor, number) else { continue }
            if unsafe descriptor == tensor, Self.isPayload(number) {
                unsafe try require(type, for: field, of: descriptor, at: start)
                try budget.take(bytes: MemoryLayout<Payload>.stride)
                note(number, type, start: start, value: value, since: firstPayload)
                continue
            }
            guard number != Self.payloadField, unsafe !isDropped(field, of: descriptor, value) else { continue }
            unsafe try require(type, for: field, of: descriptor, at: start)
            if unsafe field.pointee.type == PROTOBUF_C_TYPE_MESSAGE {
                let bit = unsafe UInt64(1) << UInt64(truncatingIfNeeded: (field - descriptor.pointee.fields) & 63)
                if unsafe field.pointee.label != PROTOBUF_C_LABEL_REPEATED, seen & bit != 0 {
                    throw LoadError(.wireFormat, unsafe "\(name(descriptor)) has two of \(name(field))", byteOffset: start)
                }
                seen |= bit
                unsafe try embed(value, number, field, depth: depth)
            } else {
                if unsafe field.pointee.type == PROTOBUF_C_TYPE_STRING { unsafe try requireText(value, field, of: descriptor) }
                unsafe try budget.take(bytes: Self.bytes(of: field, value))
                write(UInt64(number) << 3 | UInt64(type.rawValue))
                if type == .bytes { write(UInt64(value.count)) }
                unsafe skeleton.append(contentsOf: bytes[value])
            }
        }
        for index in firstPayload..<payloads.count {
            write(UInt64(Self.payloadField) << 3)
            write(UInt64(index))
        }
    }

    /// Bytes of memory that a message takes besides protobuf-c's structure: an estimate of what becomes of it.
    private static let messageBytes = 128

    /// Bytes of memory that the value of a field takes: as text and bytes once here and once in the graph, as numbers twice 8 bytes for each
    /// byte of the file, the most that a packed field can hold.
    private static func bytes(of field: UnsafePointer<ProtobufCFieldDescriptor>, _ value: Range<Int>) -> Int {
        switch unsafe field.pointee.type {
        case PROTOBUF_C_TYPE_STRING, PROTOBUF_C_TYPE_BYTES: 2 * value.count + 64
        case PROTOBUF_C_TYPE_FLOAT, PROTOBUF_C_TYPE_DOUBLE: 2 * value.count + 16
        default: unsafe field.pointee.label == PROTOBUF_C_LABEL_REPEATED ? 16 * value.count : 16
        }
    }

    /// Copies an embedded message, whose length is known only afterwards: it is written as five bytes, whatever it is.
    private mutating func embed(
        _ value: Range<Int>, _ number: UInt32, _ field: UnsafePointer<ProtobufCFieldDescriptor>, depth: Int
    ) throws(LoadError) {
        guard let description = unsafe field.pointee.descriptor else { return }
        write(UInt64(number) << 3 | UInt64(WireType.bytes.rawValue))
        let lengthAt = skeleton.count
        for _ in 0..<5 { skeleton.append(0) }
        unsafe try scan(value, description.assumingMemoryBound(to: ProtobufCMessageDescriptor.self), depth: depth + 1)
        let length = skeleton.count - lengthAt - 5
        for index in 0..<5 {
            skeleton[lengthAt + index] = UInt8(truncatingIfNeeded: (length >> (7 * index)) & 0x7F) | (index < 4 ? 0x80 : 0)
        }
    }

    /// float_data, int32_data, int64_data, raw_data, double_data and uint64_data.
    private static func isPayload(_ number: UInt32) -> Bool {
        number == 4 || number == 5 || number == 7 || (9...11).contains(number)
    }

    private mutating func note(_ number: UInt32, _ type: WireType, start: Int, value: Range<Int>, since first: Int) {
        if type == .bytes {
            payloads.append(Payload(field: number, range: value, isPacked: true))
        } else if payloads.count > first, let last = payloads.last, last.field == number, !last.isPacked,
            last.range.upperBound == start
        {
            payloads[payloads.count - 1].range = last.range.lowerBound..<value.upperBound
        } else {
            payloads.append(Payload(field: number, range: start..<value.upperBound, isPacked: false))
        }
    }

    /// Texts for people on everything but the model: exporters write whole stack traces there. A node's modules are kept.
    private func isDropped(
        _ field: UnsafePointer<ProtobufCFieldDescriptor>, of descriptor: Descriptor, _ value: Range<Int>
    ) -> Bool {
        guard unsafe descriptor != model, let name = unsafe field.pointee.name else { return false }
        if unsafe strcmp(name, "doc_string") == 0 { return true }
        // An entry's key comes first, behind its tag and its length.
        return unsafe strcmp(name, "metadata_props") == 0
            && !bytes[value].dropFirst(2).starts(with: ModuleScopes.metadataKey.utf8)
    }

    private func require(
        _ type: WireType, for field: UnsafePointer<ProtobufCFieldDescriptor>, of descriptor: Descriptor, at offset: Int
    ) throws(LoadError) {
        let expected: WireType
        switch unsafe field.pointee.type {
        case PROTOBUF_C_TYPE_MESSAGE, PROTOBUF_C_TYPE_STRING, PROTOBUF_C_TYPE_BYTES: expected = .bytes
        case PROTOBUF_C_TYPE_FLOAT, PROTOBUF_C_TYPE_FIXED32, PROTOBUF_C_TYPE_SFIXED32: expected = .fixed32
        case PROTOBUF_C_TYPE_DOUBLE, PROTOBUF_C_TYPE_FIXED64, PROTOBUF_C_TYPE_SFIXED64: expected = .fixed64
        default: expected = .varint
        }
        let isPacked = unsafe type == .bytes && field.pointee.label == PROTOBUF_C_LABEL_REPEATED
        guard type == expected || isPacked else {
            throw LoadError(
                .wireFormat, unsafe "\(name(field)) of \(name(descriptor)) has the wire type \(type), expected \(expected)",
                byteOffset: offset)
        }
    }

    private func requireText(
        _ value: Range<Int>, _ field: UnsafePointer<ProtobufCFieldDescriptor>, of descriptor: Descriptor
    ) throws(LoadError) {
        var isPlain = true
        for unsafe(byte) in unsafe bytes[value] where byte == 0 || byte >= 0x80 { isPlain = false }
        if isPlain { return }
        guard unsafe String(validating: bytes[value], as: UTF8.self) != nil, unsafe !bytes[value].contains(0) else {
            throw LoadError(
                .wireFormat, unsafe "\(name(field)) of \(name(descriptor)) isn't UTF-8 text without zeros",
                byteOffset: value.lowerBound)
        }
    }

    private func name(_ descriptor: Descriptor) -> String {
        unsafe descriptor.pointee.short_name.map { unsafe String(cString: $0) } ?? "?"
    }

    private func name(_ field: UnsafePointer<ProtobufCFieldDescriptor>) -> String {
        unsafe field.pointee.name.map { unsafe String(cString: $0) } ?? "?"
    }

    private mutating func write(_ varint: UInt64) {
        var rest = varint
        while rest >= 0x80 {
            skeleton.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        skeleton.append(UInt8(truncatingIfNeeded: rest))
    }
}
