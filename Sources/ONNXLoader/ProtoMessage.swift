import COnnxProto
import CProtobufC
import GraphRuntime

/// A message that protobuf-c parsed, without the values of its tensors, and the way to those.
@safe
final class ProtoMessage {
    /// The message, valid as long as this object.
    let pointer: UnsafeMutablePointer<ProtobufCMessage>
    let payloads: [Payload]
    let storage: TensorStorage

    /// - Throws: ``LoadError`` of kind `wireFormat` or `limit`.
    init(
        _ storage: TensorStorage, _ descriptor: UnsafePointer<ProtobufCMessageDescriptor>?, budget: LoadBudget
    ) throws(LoadError) {
        guard let descriptor = unsafe descriptor else { throw LoadError(.wireFormat, "the message's description is missing") }
        var scanner = unsafe try WireScanner(
            UnsafeRawBufferPointer(start: storage.base, count: storage.byteCount), budget: budget)
        unsafe try scanner.scan(descriptor)
        let skeleton = scanner.skeleton
        let message = unsafe skeleton.withUnsafeBufferPointer { bytes in
            unsafe protobuf_c_message_unpack(descriptor, nil, bytes.count, bytes.baseAddress)
        }
        guard let message = unsafe message else {
            throw LoadError(.wireFormat, "protobuf-c can't parse the message of \(storage.byteCount) bytes")
        }
        unsafe pointer = unsafe message
        payloads = scanner.payloads
        self.storage = storage
    }

    deinit { unsafe protobuf_c_message_free_unpacked(pointer, nil) }

    /// The message as the type that its description was of.
    func assumingType<Message>(_ type: Message.Type) -> UnsafePointer<Message> {
        unsafe UnsafePointer(UnsafeMutableRawPointer(pointer).assumingMemoryBound(to: type))
    }
}

/// The text of a field, empty where it isn't given. The scanner has checked that it is UTF-8.
func text(_ field: UnsafeMutablePointer<CChar>?) -> String { unsafe field.map { unsafe String(cString: $0) } ?? "" }

/// The elements of a repeated field of messages.
func messages<Message>(
    _ count: Int, _ elements: UnsafeMutablePointer<UnsafeMutablePointer<Message>?>?
) -> [UnsafePointer<Message>] {
    guard let elements = unsafe elements else { return unsafe [] }
    return unsafe UnsafeBufferPointer(start: elements, count: count).compactMap { unsafe $0.map { unsafe UnsafePointer($0) } }
}

/// The elements of a repeated field of texts.
func texts(_ count: Int, _ elements: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> [String] {
    guard let elements = unsafe elements else { return [] }
    return unsafe UnsafeBufferPointer(start: elements, count: count).map { unsafe text($0) }
}

/// The elements of a repeated field of numbers.
func numbers<Number>(_ count: Int, _ elements: UnsafeMutablePointer<Number>?) -> [Number] {
    guard let elements = unsafe elements else { return [] }
    return unsafe Array(UnsafeBufferPointer(start: elements, count: count))
}
