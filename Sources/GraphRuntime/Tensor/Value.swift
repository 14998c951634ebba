/// What flows along an edge of a graph: a tensor, a map, a sequence of either, or an optional that holds nothing.
public enum Value: Sendable {
    /// A tensor.
    case tensor(Tensor)
    /// A list of tensors of one type, perhaps of many shapes.
    case sequence([Tensor])
    /// A map from keys to numbers or strings.
    case map(ValueMap)
    /// A list of maps, such as one for each row that a classifier was given.
    case maps([ValueMap])
    /// An optional value that holds nothing.
    case empty

    /// The tensor in it.
    ///
    /// - Throws: ``TensorError`` where it is something else.
    public func asTensor() throws(TensorError) -> Tensor {
        guard case .tensor(let tensor) = self else { throw TensorError("expected a tensor, found \(kind)") }
        return tensor
    }

    /// The tensor in it, nil where it is something else.
    var tensor: Tensor? { if case .tensor(let tensor) = self { tensor } else { nil } }

    /// The tensors of the sequence in it.
    public func asSequence() throws(TensorError) -> [Tensor] {
        guard case .sequence(let tensors) = self else { throw TensorError("expected a sequence, found \(kind)") }
        return tensors
    }

    /// What it is, for a message: `float32[2, 4]`, `a sequence of 3 tensors`.
    public var kind: String {
        switch self {
        case .tensor(let tensor): "\(tensor.dtype)\(tensor.shape)"
        case .sequence(let tensors): "a sequence of \(tensors.count) tensors"
        case .map(let map): map.kind
        case .maps(let maps): "a sequence of \(maps.count) maps"
        case .empty: "an empty optional"
        }
    }
}
