import COnnxProto
import GraphRuntime

/// Makes tensors of TensorProto messages: views of the mapped file wherever the values lie there as they are used.
///
/// Protobuf aligns nothing. Values that lie misaligned are copied up to ``copyLimit`` bytes, so that shapes, scalars and biases are
/// read by any code; larger ones stay where they are, and `Tensor.isAligned` says what that means for their readers.
struct TensorDecoder {
    let storage: TensorStorage
    let payloads: [Payload]
    /// Nil where the message has no folder.
    let externalData: ExternalData?
    let budget: LoadBudget

    /// 4 KB: what is copied at most of one misaligned tensor, far below the size of a weight matrix.
    static let copyLimit = 4096

    /// - Throws: ``LoadError`` with the tensor's name.
    func tensor(_ proto: UnsafePointer<Onnx__TensorProto>) throws(LoadError) -> Tensor {
        do throws(LoadError) {
            try budget.takeTensor()
            return unsafe try decode(proto.pointee)
        } catch {
            let name = unsafe text(proto.pointee.name).shortened(to: String.longestName)
            throw error.prefixed(name.isEmpty ? "a tensor" : "tensor \"\(name)\"")
        }
    }

    private func decode(_ proto: Onnx__TensorProto) throws(LoadError) -> Tensor {
        let dtype = unsafe try elementType(proto.data_type)
        let shape = unsafe try shape(numbers(proto.n_dims, proto.dims))
        guard unsafe proto.segment == nil else { throw LoadError(.unsupported, "tensors in segments aren't supported") }
        let parts = unsafe try parts(of: proto)
        let stringCount = unsafe Int(proto.n_string_data)
        switch unsafe proto.data_location {
        case 0: break
        case 1:
            guard parts.isEmpty, stringCount == 0 else {
                throw LoadError(
                    .tensor, "the values are both external and in the message", byteOffset: parts.first?.range.lowerBound)
            }
            return unsafe try external(proto, dtype, shape)
        default: throw LoadError(.unsupported, unsafe "the data location \(proto.data_location) isn't known")
        }
        if dtype == .string {
            guard parts.isEmpty else {
                throw LoadError(.tensor, "strings lie in a field of numbers", byteOffset: parts[0].range.lowerBound)
            }
            return unsafe try strings(UnsafeBufferPointer(start: proto.string_data, count: stringCount), shape)
        }
        guard stringCount == 0 else { throw LoadError(.tensor, "\(dtype) values lie in string_data") }
        guard let first = parts.first else {
            guard shape.count == 0 else { throw LoadError(.tensor, "\(dtype)\(shape) has no values") }
            return try view(dtype, shape, storage, 0)
        }
        if first.field == 9 {
            guard first.range.count == dtype.byteCount(of: shape.count) else {
                throw LoadError(
                    .tensor,
                    "raw_data has \(first.range.count) bytes, but \(dtype)\(shape) takes \(dtype.byteCount(of: shape.count) ?? 0)",
                    byteOffset: first.range.lowerBound)
            }
            return try view(dtype, shape, storage, first.range.lowerBound)
        }
        return try typed(dtype, shape, parts)
    }

    /// What the message holds of values, without empty fields; of several raw_data the last one, as protobuf has it.
    private func parts(of proto: Onnx__TensorProto) throws(LoadError) -> [Payload] {
        var parts: [Payload] = []
        var raw: Payload?
        for index in unsafe numbers(proto.n_payload, proto.payload) {
            guard payloads.indices.contains(Int(index)) else { throw LoadError(.wireFormat, "a value of the tensor is lost") }
            let part = payloads[Int(index)]
            if part.field == 9 { raw = part } else if !part.range.isEmpty { parts.append(part) }
        }
        if let raw, !raw.range.isEmpty { parts.append(raw) }
        if let first = parts.first, let other = parts.first(where: { $0.field != first.field }) {
            throw LoadError(.tensor, "the values lie in two fields", byteOffset: other.range.lowerBound)
        }
        return parts
    }

    private func external(_ proto: Onnx__TensorProto, _ dtype: DType, _ shape: Shape) throws(LoadError) -> Tensor {
        guard dtype != .string, let byteCount = dtype.byteCount(of: shape.count) else {
            throw LoadError(.externalData, "\(dtype) values can't be external")
        }
        guard let externalData else {
            throw LoadError(.externalData, "the values are in another file, but the model has no folder")
        }
        let entries = unsafe messages(proto.n_external_data, proto.external_data)
        let (file, offset) = unsafe try externalData.find(entries, byteCount: byteCount)
        return try view(dtype, shape, file, offset)
    }

    private func strings(_ data: UnsafeBufferPointer<ProtobufCBinaryData>, _ shape: Shape) throws(LoadError) -> Tensor {
        guard data.count == shape.count else {
            throw LoadError(.tensor, "string_data has \(data.count) strings, but the shape is \(shape)")
        }
        var values: [String] = []
        for unsafe(element) in unsafe data { unsafe values.append(try string(element)) }
        return try wrapped { () throws(TensorError) in try Tensor(strings: values, shape: shape) }
    }

    /// A tensor over bytes of a file, copied where it must be.
    private func view(_ dtype: DType, _ shape: Shape, _ storage: TensorStorage, _ offset: Int) throws(LoadError) -> Tensor {
        let tensor = try wrapped { () throws(TensorError) in
            try Tensor(dtype: dtype, shape: shape, storage: storage, byteOffset: offset)
        }
        if dtype == .bool { return try normalized(tensor) }
        guard tensor.byteCount <= Self.copyLimit, !tensor.isAligned else { return tensor }
        try budget.take(bytes: tensor.byteCount)
        return try wrapped { () throws(TensorError) in try tensor.aligned() }
    }

    /// A byte other than 0 and 1 is true for ONNX, but no `Bool` for Swift.
    private func normalized(_ tensor: Tensor) throws(LoadError) -> Tensor {
        guard tensor.hasValues, unsafe tensor.rawBytes.contains(where: { $0 > 1 }) else { return tensor }
        let copy = try make(.bool, tensor.shape)
        let target = unsafe copy.rawBytes
        for unsafe(index, byte) in unsafe tensor.rawBytes.enumerated() { unsafe target[index] = byte == 0 ? 0 : 1 }
        return copy.tensor
    }
}

extension TensorDecoder {
    /// Values in the field of their type: two float_data or double_data to a complex number, the bits of small types in int32_data,
    /// one byte of two 4-bit values in an int32.
    private func typed(_ dtype: DType, _ shape: Shape, _ parts: [Payload]) throws(LoadError) -> Tensor {
        let field: UInt32
        switch dtype {
        case .float32, .complex64: field = 4
        case .int64: field = 7
        case .float64, .complex128: field = 10
        case .uint32, .uint64: field = 11
        default: field = 5
        }
        guard parts[0].field == field else {
            throw LoadError(
                .tensor, "\(dtype) values lie in field \(parts[0].field) of TensorProto, expected \(field) or raw_data",
                byteOffset: parts[0].range.lowerBound)
        }
        switch dtype {
        case .float32, .complex64: return try fixed(4, dtype, shape, parts)
        case .float64, .complex128: return try fixed(8, dtype, shape, parts)
        case .int64: return try varints(UInt64.self, dtype, shape, parts, Int64.min...Int64.max)
        case .uint64: return try varints(UInt64.self, dtype, shape, parts, nil)
        case .uint32: return try varints(UInt32.self, dtype, shape, parts, 0...Int64(UInt32.max))
        case .int32: return try varints(UInt32.self, dtype, shape, parts, Int64(Int32.min)...Int64(Int32.max))
        case .bool:
            return try normalized(try varints(UInt8.self, dtype, shape, parts, 0...255))
        default:
            // Bit patterns may be written with or without a sign.
            if dtype.bitWidth == 16 { return try varints(UInt16.self, dtype, shape, parts, -32768...65535) }
            return try varints(UInt8.self, dtype, shape, parts, -128...255)
        }
    }

    /// Little-endian numbers of `size` bytes: one packed field of any size is used where it lies.
    private func fixed(_ size: Int, _ dtype: DType, _ shape: Shape, _ parts: [Payload]) throws(LoadError) -> Tensor {
        let byteCount = dtype.byteCount(of: shape.count) ?? 0
        // A value that isn't packed has a tag before it, of one byte for the fields in question.
        let found = parts.reduce(0) { $0 + ($1.isPacked ? $1.range.count : $1.range.count / (size + 1) * size) }
        guard found == byteCount else {
            throw LoadError(
                .tensor, "\(found / size) numbers don't fill \(dtype)\(shape)", byteOffset: parts[0].range.lowerBound)
        }
        if parts.count == 1, parts[0].isPacked { return try view(dtype, shape, storage, parts[0].range.lowerBound) }
        let result = try make(dtype, shape)
        let source = unsafe UnsafeRawBufferPointer(start: storage.base, count: storage.byteCount)
        var written = 0
        for part in parts {
            let step = part.isPacked ? part.range.count : size
            var reader = unsafe WireReader(source, part.range)
            while !reader.isAtEnd {
                if !part.isPacked { _ = try reader.tag() }
                guard step <= reader.end - reader.position, step <= byteCount - written else {
                    throw LoadError(.tensor, "the numbers don't fill \(dtype)\(shape)", byteOffset: reader.position)
                }
                let bytes = unsafe UnsafeRawBufferPointer(rebasing: source[reader.position..<reader.position + step])
                unsafe UnsafeMutableRawBufferPointer(rebasing: result.rawBytes[written..<written + step]).copyMemory(
                    from: bytes)
                written += step
                reader.position += step
            }
        }
        guard written == byteCount else { throw LoadError(.tensor, "\(written / size) numbers don't fill \(dtype)\(shape)") }
        return result.tensor
    }

    /// Varints, of which each fills one unit of the tensor's storage.
    ///
    /// - Parameter range: What the numbers, read as signed ones, must be in; nil for all.
    private func varints<Unit: FixedWidthInteger & UnsignedInteger>(
        _ unit: Unit.Type, _ dtype: DType, _ shape: Shape, _ parts: [Payload], _ range: ClosedRange<Int64>?
    ) throws(LoadError) -> Tensor {
        let count = (dtype.byteCount(of: shape.count) ?? 0) / MemoryLayout<Unit>.size
        // Every number takes a byte at least: this keeps a hostile shape from getting memory.
        let most = parts.reduce(0) { $0 + $1.range.count }
        guard count <= most else {
            throw LoadError(
                .tensor, "at most \(most) numbers are given, but \(dtype)\(shape) takes \(count)",
                byteOffset: parts[0].range.lowerBound)
        }
        let result = try make(dtype, shape)
        let target = unsafe UnsafeMutableBufferPointer(
            start: result.rawBytes.baseAddress?.assumingMemoryBound(to: Unit.self), count: count)
        var written = 0
        for part in parts {
            var reader = unsafe WireReader(UnsafeRawBufferPointer(start: storage.base, count: storage.byteCount), part.range)
            while !reader.isAtEnd {
                if !part.isPacked { _ = try reader.tag() }
                let start = reader.position
                let value = try reader.varint()
                guard written < count else {
                    throw LoadError(
                        .tensor, "more numbers are given than the \(count) that \(dtype)\(shape) takes", byteOffset: start)
                }
                if let range, !range.contains(Int64(bitPattern: value)) {
                    throw LoadError(.tensor, "\(Int64(bitPattern: value)) is no \(dtype)", byteOffset: start)
                }
                unsafe target[written] = Unit(truncatingIfNeeded: value)
                written += 1
            }
        }
        guard written == count else {
            throw LoadError(
                .tensor, "\(written) numbers are given, but \(dtype)\(shape) takes \(count)",
                byteOffset: parts[0].range.lowerBound)
        }
        return result.tensor
    }

    /// - Throws: ``LoadError``, of kind `limit` where the load may not take so much memory.
    func make(_ dtype: DType, _ shape: Shape) throws(LoadError) -> MutableTensor {
        try budget.take(bytes: dtype.byteCount(of: shape.count) ?? .max)
        return try wrapped { () throws(TensorError) in try MutableTensor(dtype: dtype, shape: shape) }
    }
}

/// The shape of ONNX's dims.
func shape(_ dims: [Int64]) throws(LoadError) -> Shape {
    try wrapped { () throws(TensorError) in try Shape(dims.map { Int($0) }) }
}

/// The element type of ONNX's number.
func elementType(_ number: Int32) throws(LoadError) -> DType {
    guard let dtype = DType(rawValue: number) else { throw LoadError(.unsupported, "the element type \(number) isn't known") }
    return dtype
}

/// A bytes field as text.
func string(_ data: ProtobufCBinaryData) throws(LoadError) -> String {
    guard let value = unsafe String(validating: UnsafeBufferPointer(start: data.data, count: data.len), as: UTF8.self) else {
        throw LoadError(.unsupported, unsafe "a string of \(data.len) bytes isn't UTF-8 text")
    }
    return value
}

/// What a tensor's own checks say, as a load error.
func wrapped<Result>(_ body: () throws(TensorError) -> Result) throws(LoadError) -> Result {
    do throws(TensorError) { return try body() } catch { throw LoadError(.tensor, error.message) }
}
