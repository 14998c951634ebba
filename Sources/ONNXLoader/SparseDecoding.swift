import COnnxProto
import GraphRuntime

extension TensorDecoder {
    /// SparseTensorProtos as dense tensors: `values` [n], and `indices` as int64 [n] into the flattened tensor or [n, rank].
    ///
    /// A few bytes of a file can ask for all memory: the sizes of all are counted before the first is made.
    ///
    /// - Throws: ``LoadError`` also for indices outside of the shape or not in ascending order.
    func dense(_ protos: [UnsafePointer<Onnx__SparseTensorProto>]) throws(LoadError) -> [Tensor] {
        for unsafe(proto) in unsafe protos {
            let dims = unsafe numbers(proto.pointee.n_dims, proto.pointee.dims)
            guard let values = unsafe proto.pointee.values, let dtype = unsafe DType(rawValue: values.pointee.data_type) else {
                continue
            }
            try budget.take(bytes: dtype.byteCount(of: try shape(dims).count) ?? .max)
        }
        var tensors: [Tensor] = []
        for unsafe(proto) in unsafe protos { unsafe tensors.append(try makeDense(proto)) }
        return tensors
    }

    private func makeDense(_ proto: UnsafePointer<Onnx__SparseTensorProto>) throws(LoadError) -> Tensor {
        guard let valuesProto = unsafe proto.pointee.values, let indicesProto = unsafe proto.pointee.indices else {
            throw LoadError(.tensor, "a sparse tensor needs both values and indices")
        }
        let values = unsafe try tensor(UnsafePointer(valuesProto))
        let name = unsafe text(valuesProto.pointee.name).shortened(to: String.longestName)
        do throws(LoadError) {
            let indices = unsafe try tensor(UnsafePointer(indicesProto))
            let shape = unsafe try shape(numbers(proto.pointee.n_dims, proto.pointee.dims))
            guard values.hasValues, indices.hasValues else { return try placeholder(values.dtype, shape) }
            return try scatter(values, indices, shape)
        } catch {
            throw error.prefixed("sparse tensor \"\(name)\"")
        }
    }

    /// What stands for a tensor that can't be made without its values.
    private func placeholder(_ dtype: DType, _ shape: Shape) throws(LoadError) -> Tensor {
        guard let externalData, let byteCount = dtype.byteCount(of: shape.count) else {
            throw LoadError(.tensor, "\(dtype) values can't be external")
        }
        let storage = try externalData.placeholder(byteCount: byteCount)
        return try wrapped { () throws(TensorError) in try Tensor(dtype: dtype, shape: shape, storage: storage) }
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
        let positions = try wrapped { () throws(TensorError) in try indices.array(of: Int64.self) }
        let result = try wrapped { () throws(TensorError) in try MutableTensor(dtype: values.dtype, shape: shape) }
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
