/// What a plan holds for: the type and shape of a value that it is given.
enum PlanKey: Hashable {
    /// A constant of the graph.
    case modelDefault
    /// One of several constants, by its storage and place there.
    case constant(ObjectIdentifier, byteOffset: Int, DType, Shape)
    case tensor(DType, Shape)
    case other(String)

    init(_ value: Value?) {
        self =
            if case .tensor(let tensor) = value { .tensor(tensor.dtype, tensor.shape) } else { .other(value?.kind ?? "") }
    }
}
