import COnnxProto
import GraphRuntime

/// The type that a TypeProto states, nil where it states none.
///
/// - Throws: ``LoadError`` for element types that aren't known, opaque types and negative extents other than -1, which exporters
///   write for an unknown one.
func valueType(_ proto: UnsafePointer<Onnx__TypeProto>?) throws(LoadError) -> ValueType? {
    guard let proto = unsafe proto?.pointee else { return nil }
    switch unsafe proto.value_case {
    case ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE:
        guard let tensor = unsafe proto.tensor_type?.pointee, unsafe tensor.elem_type != 0 else { return nil }
        return unsafe .tensor(try elementType(tensor.elem_type), try dimensions(tensor.shape))
    case ONNX__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE:
        guard let tensor = unsafe proto.sparse_tensor_type?.pointee, unsafe tensor.elem_type != 0 else { return nil }
        return unsafe .sparseTensor(try elementType(tensor.elem_type), try dimensions(tensor.shape))
    case ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE:
        return unsafe try valueType(proto.sequence_type?.pointee.elem_type).map { .sequence($0) }
    case ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE:
        return unsafe try valueType(proto.optional_type?.pointee.elem_type).map { .optional($0) }
    case ONNX__TYPE_PROTO__VALUE_MAP_TYPE:
        guard let map = unsafe proto.map_type?.pointee, let value = unsafe try valueType(map.value_type) else { return nil }
        return unsafe .map(try elementType(map.key_type), value)
    case ONNX__TYPE_PROTO__VALUE_OPAQUE_TYPE:
        throw LoadError(.unsupported, "opaque types aren't supported")
    default: return nil
    }
}

private func dimensions(_ proto: UnsafePointer<Onnx__TensorShapeProto>?) throws(LoadError) -> [Dimension]? {
    guard let proto = unsafe proto?.pointee else { return nil }
    guard unsafe proto.n_dim <= Shape.largestRank else {
        throw LoadError(.graph, unsafe "a declared shape has \(proto.n_dim) axes, expected at most \(Shape.largestRank)")
    }
    var result: [Dimension] = []
    for unsafe(dimension) in unsafe messages(proto.n_dim, proto.dim) {
        switch unsafe dimension.pointee.value_case {
        case ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE:
            let extent = unsafe dimension.pointee.dim_value
            guard extent >= -1 else { throw LoadError(.graph, "a declared shape has the extent \(extent)") }
            result.append(extent == -1 ? .unknown : .fixed(Int(extent)))
        case ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM:
            let name = unsafe text(dimension.pointee.dim_param)
            result.append(name.isEmpty ? .unknown : .symbolic(name))
        default: result.append(.unknown)
        }
    }
    return result
}
