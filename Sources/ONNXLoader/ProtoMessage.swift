import COnnxProto
import CProtobufC
import GraphRuntime

/// A message that protobuf-c parsed, without the values of its tensors, and the way to those.
final class ProtoMessage {
    /// The message, valid as long as this object.
    let pointer: UnsafeMutablePointer<ProtobufCMessage>
    let payloads: [Payload]
    let storage: TensorStorage

    /// - Throws: ``LoadError`` of kind `wireFormat`.
    init(_ storage: TensorStorage, _ descriptor: UnsafePointer<ProtobufCMessageDescriptor>?) throws(LoadError) {
        guard let descriptor else { throw LoadError(.wireFormat, "the message's description is missing") }
        var scanner = try WireScanner(UnsafeRawBufferPointer(start: storage.base, count: storage.byteCount))
        try scanner.scan(descriptor)
        let skeleton = scanner.skeleton
        let message = skeleton.withUnsafeBufferPointer { bytes in
            protobuf_c_message_unpack(descriptor, nil, bytes.count, bytes.baseAddress)
        }
        guard let message else {
            throw LoadError(.wireFormat, "protobuf-c can't parse the message of \(storage.byteCount) bytes")
        }
        pointer = message
        payloads = scanner.payloads
        self.storage = storage
    }

    deinit { protobuf_c_message_free_unpacked(pointer, nil) }

    /// The message as the type that its description was of.
    func assumingType<Message>(_ type: Message.Type) -> UnsafePointer<Message> {
        UnsafePointer(UnsafeMutableRawPointer(pointer).assumingMemoryBound(to: type))
    }
}

/// The text of a field, empty where it isn't given. The scanner has checked that it is UTF-8.
func text(_ field: UnsafeMutablePointer<CChar>?) -> String { field.map { String(cString: $0) } ?? "" }

/// The elements of a repeated field of messages.
func messages<Message>(
    _ count: Int, _ elements: UnsafeMutablePointer<UnsafeMutablePointer<Message>?>?
) -> [UnsafePointer<Message>] {
    guard let elements else { return [] }
    return UnsafeBufferPointer(start: elements, count: count).compactMap { $0.map { UnsafePointer($0) } }
}

/// The elements of a repeated field of texts.
func texts(_ count: Int, _ elements: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> [String] {
    guard let elements else { return [] }
    return UnsafeBufferPointer(start: elements, count: count).map { text($0) }
}

/// The elements of a repeated field of numbers.
func numbers<Number>(_ count: Int, _ elements: UnsafeMutablePointer<Number>?) -> [Number] {
    guard let elements else { return [] }
    return Array(UnsafeBufferPointer(start: elements, count: count))
}
