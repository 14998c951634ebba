import COnnxProto
import GraphRuntime

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

extension ONNXModel {
    /// Reads a file that holds one TensorProto, such as the inputs and outputs of ONNX's test cases.
    ///
    /// - Throws: ``LoadError``.
    public static func tensor(contentsOf url: URL) throws -> Tensor {
        guard case .tensor(let tensor) = try value(contentsOf: url, as: nil) else {
            throw LoadError(.tensor, "expected a tensor", file: url.path)
        }
        return tensor
    }

    /// Reads a file that holds one TensorProto, SequenceProto, MapProto, OptionalProto or SparseTensorProto; the file doesn't say which.
    ///
    /// - Parameters:
    ///   - url: The file.
    ///   - type: What the file holds, as the graph declares it; nil for a tensor.
    ///   - limits: What it may take of the machine.
    /// - Throws: ``LoadError``, also for sequences of anything but tensors and maps, and for maps to anything but single elements.
    public static func value(
        contentsOf url: URL, as type: ValueType?, limits: ResourceLimits = ResourceLimits()
    ) throws -> Value {
        try namedValue(contentsOf: url, as: type, limits: limits).value
    }

    /// Reads a value from memory, see ``value(contentsOf:as:limits:)``.
    public static func value(
        bytes: [UInt8], as type: ValueType?, limits: ResourceLimits = ResourceLimits()
    ) throws -> Value {
        try value(try storage(of: bytes), type, nil, limits).value
    }

    /// Reads a value as ``value(contentsOf:as:limits:)`` does, with the name that the file gives it, which may be empty.
    package static func namedValue(
        contentsOf url: URL, as type: ValueType?, limits: ResourceLimits = ResourceLimits()
    ) throws -> (name: String, value: Value) {
        guard url.isFileURL else { throw LoadError(.file, "expected the URL of a file, found \(url)") }
        do throws(LoadError) {
            let external = ExternalData(folder: url.deletingLastPathComponent().path, modelPath: url.path)
            let file = try MappedFile.map(url.path)
            guard file.byteCount > 0 else { throw LoadError(.wireFormat, "the file is empty, expected a tensor or its like") }
            return try value(file, type, external, limits)
        } catch {
            throw error.inFile(url.path)
        }
    }

    private static func value(
        _ storage: TensorStorage, _ type: ValueType?, _ external: ExternalData?, _ limits: ResourceLimits
    ) throws(LoadError) -> (name: String, value: Value) {
        let budget = LoadBudget(limits)
        func read<Result>(
            _ descriptor: UnsafePointer<ProtobufCMessageDescriptor>?,
            _ body: (ProtoMessage, TensorDecoder) throws(LoadError) -> Result
        ) throws(LoadError) -> Result {
            let message = unsafe try ProtoMessage(storage, descriptor, budget: budget)
            defer { withExtendedLifetime(message) {} }
            let decoder = TensorDecoder(
                storage: storage, payloads: message.payloads, externalData: external, budget: budget)
            return try body(message, decoder)
        }
        switch type {
        case nil, .tensor:
            var empty = unsafe Onnx__TensorProto()
            unsafe onnx__tensor_proto__init(&empty)
            return unsafe try read(empty.base.descriptor) { (message, decoder) throws(LoadError) in
                let proto = unsafe message.assumingType(Onnx__TensorProto.self)
                return unsafe (text(proto.pointee.name), .tensor(try decoder.tensor(proto)))
            }
        case .sparseTensor:
            var empty = unsafe Onnx__SparseTensorProto()
            unsafe onnx__sparse_tensor_proto__init(&empty)
            return unsafe try read(empty.base.descriptor) { (message, decoder) throws(LoadError) in
                let proto = unsafe message.assumingType(Onnx__SparseTensorProto.self)
                let name = unsafe proto.pointee.values.map { unsafe text($0.pointee.name) } ?? ""
                return unsafe (name, .tensor(try decoder.dense([proto])[0]))
            }
        case .sequence:
            var empty = unsafe Onnx__SequenceProto()
            unsafe onnx__sequence_proto__init(&empty)
            return unsafe try read(empty.base.descriptor) { (message, decoder) throws(LoadError) in
                let proto = unsafe message.assumingType(Onnx__SequenceProto.self)
                return unsafe (text(proto.pointee.name), try decoder.sequence(proto, isOfMaps: isOfMaps(type)))
            }
        case .optional:
            var empty = unsafe Onnx__OptionalProto()
            unsafe onnx__optional_proto__init(&empty)
            return unsafe try read(empty.base.descriptor) { (message, decoder) throws(LoadError) in
                let proto = unsafe message.assumingType(Onnx__OptionalProto.self)
                return unsafe (text(proto.pointee.name), try decoder.optional(proto, isOfMaps: isOfMaps(type)))
            }
        case .map:
            var empty = unsafe Onnx__MapProto()
            unsafe onnx__map_proto__init(&empty)
            return unsafe try read(empty.base.descriptor) { (message, decoder) throws(LoadError) in
                let proto = unsafe message.assumingType(Onnx__MapProto.self)
                return unsafe (text(proto.pointee.name), .map(try decoder.map(proto)))
            }
        }
    }
}

/// Whether a sequence of a type, or an optional of such, is one of maps: an empty one holds nothing that tells.
private func isOfMaps(_ type: ValueType?) -> Bool {
    switch type {
    case .sequence(.map): true
    case .optional(let element): isOfMaps(element)
    default: false
    }
}

extension TensorDecoder {
    fileprivate func sequence(
        _ pointer: UnsafePointer<Onnx__SequenceProto>, isOfMaps: Bool
    ) throws(LoadError) -> Value {
        let proto = unsafe pointer.pointee
        guard unsafe proto.n_sequence_values == 0, unsafe proto.n_optional_values == 0 else {
            throw LoadError(.unsupported, "sequences of anything but tensors and maps aren't supported")
        }
        var maps: [ValueMap] = []
        for unsafe(element) in unsafe messages(proto.n_map_values, proto.map_values) { unsafe maps.append(try map(element)) }
        var tensors: [Tensor] = []
        for unsafe(element) in unsafe messages(proto.n_tensor_values, proto.tensor_values) {
            unsafe tensors.append(try tensor(element))
        }
        unsafe tensors += try dense(messages(proto.n_sparse_tensor_values, proto.sparse_tensor_values))
        guard maps.isEmpty || tensors.isEmpty else {
            throw LoadError(.tensor, "a sequence holds \(tensors.count) tensors and \(maps.count) maps, expected one kind")
        }
        return maps.isEmpty && !(isOfMaps && tensors.isEmpty) ? .sequence(tensors) : .maps(maps)
    }

    /// Every value is a tensor of one element; together they are one tensor.
    fileprivate func map(_ pointer: UnsafePointer<Onnx__MapProto>) throws(LoadError) -> ValueMap {
        let proto = unsafe pointer.pointee
        var values: [Tensor] = []
        if let sequence = unsafe proto.values {
            guard case .sequence(let tensors) = unsafe try self.sequence(UnsafePointer(sequence), isOfMaps: false) else {
                throw LoadError(.unsupported, "maps to anything but single elements aren't supported")
            }
            values = tensors
        }
        guard let dtype = unsafe DType(rawValue: proto.key_type) else {
            throw LoadError(.tensor, unsafe "keys of a map are of the unknown type \(proto.key_type)")
        }
        let keys: Tensor
        switch dtype {
        case .string:
            var texts: [String] = []
            for unsafe(key) in unsafe UnsafeBufferPointer(start: proto.string_keys, count: Int(proto.n_string_keys)) {
                unsafe texts.append(try string(key))
            }
            keys = try wrapped { () throws(TensorError) in try Tensor(strings: texts, shape: Shape([texts.count])) }
        case .int64:
            let numbers = unsafe Array(UnsafeBufferPointer(start: proto.keys, count: Int(proto.n_keys)))
            keys = try wrapped { () throws(TensorError) in try Tensor(numbers) }
        default: throw LoadError(.unsupported, "maps with keys of type \(dtype) aren't supported")
        }
        return try wrapped { () throws(TensorError) in try ValueMap(keys: keys, values: Self.joined(values)) }
    }

    /// The elements of tensors of one element each, in one.
    private static func joined(_ values: [Tensor]) throws(TensorError) -> Tensor {
        guard let dtype = values.first?.dtype else { return try Tensor([Float]()) }
        guard values.allSatisfy({ $0.dtype == dtype && $0.count == 1 }), dtype == .string || dtype.bitWidth >= 8 else {
            throw TensorError("the values of a map aren't single elements of one type")
        }
        let shape = try Shape([values.count])
        if dtype == .string { return try Tensor(strings: values.flatMap { $0.strings ?? [] }, shape: shape) }
        return try Tensor(dtype: dtype, shape: shape, bytes: values.flatMap { Array($0.bytes) })
    }

    fileprivate func optional(
        _ pointer: UnsafePointer<Onnx__OptionalProto>, isOfMaps: Bool
    ) throws(LoadError) -> Value {
        let proto = unsafe pointer.pointee
        if let element = unsafe proto.tensor_value { return unsafe .tensor(try tensor(UnsafePointer(element))) }
        if let element = unsafe proto.sparse_tensor_value { return unsafe .tensor(try dense([UnsafePointer(element)])[0]) }
        if let element = unsafe proto.sequence_value {
            return unsafe try sequence(UnsafePointer(element), isOfMaps: isOfMaps)
        }
        if let element = unsafe proto.optional_value {
            return unsafe try optional(UnsafePointer(element), isOfMaps: isOfMaps)
        }
        if let element = unsafe proto.map_value { return unsafe .map(try map(UnsafePointer(element))) }
        return .empty
    }
}
