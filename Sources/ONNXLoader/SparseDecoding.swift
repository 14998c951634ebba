import COnnxProto
import GraphRuntime

extension TensorDecoder {
    /// The most bytes that a sparse tensor may take once it is dense; without a bound, a few bytes of a file could ask for all
    /// memory.
    static let denseLimit = 1 << 30

    /// A SparseTensorProto as a dense tensor: `values` [n], and `indices` as int64 [n] into the flattened tensor or [n, rank].
    ///
    /// - Throws: ``LoadError`` also for indices outside of the shape or not in ascending order, and beyond ``denseLimit``.
    func dense(_ proto: UnsafePointer<Onnx__SparseTensorProto>) throws(LoadError) -> Tensor {
        guard let valuesProto = unsafe proto.pointee.values, let indicesProto = unsafe proto.pointee.indices else {
            throw LoadError(.tensor, "a sparse tensor needs both values and indices")
        }
        let values = unsafe try tensor(UnsafePointer(valuesProto))
        let name = unsafe text(valuesProto.pointee.name)
        do throws(LoadError) {
            return unsafe try scatter(
                values, try tensor(UnsafePointer(indicesProto)), try shape(numbers(proto.pointee.n_dims, proto.pointee.dims)))
        } catch {
            throw error.prefixed("sparse tensor \"\(name)\"")
        }
    }

    private func scatter(_ values: Tensor, _ indices: Tensor, _ shape: Shape) throws(LoadError) -> Tensor {
        let count = values.count
        guard values.shape.rank == 1, values.dtype.bitWidth >= 8 else {
            throw LoadError(
                .tensor,
                "values must be \(values.dtype == .string ? "numbers" : "of one axis"), found \(values.dtype)\(values.shape)")
        }
        let isLinear = indices.shape.dimensions == [count]
        guard indices.dtype == .int64, isLinear || indices.shape.dimensions == [count, shape.rank] else {
            throw LoadError(
                .tensor,
                "expected indices int64[\(count)] or int64[\(count), \(shape.rank)], found \(indices.dtype)\(indices.shape)")
        }
        guard let byteCount = values.dtype.byteCount(of: shape.count), byteCount <= Self.denseLimit else {
            throw LoadError(.unsupported, "\(values.dtype)\(shape) is larger than \(Self.denseLimit) bytes")
        }
        let positions = try wrapped { () throws(TensorError) in try indices.array(of: Int64.self) }
        let result = try make(values.dtype, shape)
        unsafe result.rawBytes.initializeMemory(as: UInt8.self, repeating: 0)
        let size = values.dtype.bitWidth / 8
        let strides = shape.strides
        var last = -1
        for element in 0..<count {
            var position = 0
            if isLinear {
                position = Int(positions[element])
            } else {
                for axis in 0..<shape.rank {
                    let index = Int(positions[element * shape.rank + axis])
                    guard index >= 0, index < shape[axis] else {
                        throw LoadError(.tensor, "the index \(index) is outside of axis \(axis) of \(shape)")
                    }
                    position += index * strides[axis]
                }
            }
            guard position > last, position < shape.count else {
                throw LoadError(.tensor, "the index \(position) is outside of \(shape) or not above the one before")
            }
            last = position
            let source = unsafe UnsafeRawBufferPointer(rebasing: values.rawBytes[element * size..<(element + 1) * size])
            unsafe UnsafeMutableRawBufferPointer(rebasing: result.rawBytes[position * size..<(position + 1) * size]).copyMemory(
                from: source)
        }
        return result.tensor
    }
}
