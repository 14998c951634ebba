/// A map from keys to single values, such as the probabilities of a classifier by the labels of its classes (ONNX MapProto, as far as the
/// operators of ai.onnx.ml make and take such).
public struct ValueMap: Sendable {
    /// Strings or integers, one axis, each there once.
    public let keys: Tensor
    /// The value of each key, in the order of the keys; one axis.
    public let values: Tensor

    /// - Throws: ``TensorError`` where there aren't as many values as keys, the keys are neither strings nor integers, or one is there
    ///   twice.
    public init(keys: Tensor, values: Tensor) throws(TensorError) {
        guard keys.shape.rank == 1, values.shape.dimensions == keys.shape.dimensions else {
            throw TensorError(
                "a map has keys of shape \(keys.shape) and values of shape \(values.shape), expected one axis each")
        }
        let order = try Self.order(of: keys)
        for (index, next) in zip(order, order.dropFirst()) where try Self.isSame(keys, index, next) {
            let text = try Self.text(of: keys, index)
            throw TensorError("a map has the key \(text.shortened(to: String.longestName)) twice")
        }
        self.keys = keys
        self.values = values
    }

    /// The number of keys.
    public var count: Int { keys.count }

    /// What it maps, for a message: `a map from string to float32`.
    public var kind: String { "a map from \(keys.dtype) to \(values.dtype)" }

    /// The places of the keys in ascending order: numbers by their size, strings by their bytes.
    package func order() throws(TensorError) -> [Int] { try Self.order(of: keys) }

    /// A key as text.
    package func text(ofKey index: Int) throws(TensorError) -> String { try Self.text(of: keys, index) }

    private static func order(of keys: Tensor) throws(TensorError) -> [Int] {
        if let strings = keys.strings {
            let bytes = strings.map { Array($0.utf8) }
            return bytes.indices.sorted { bytes[$0].lexicographicallyPrecedes(bytes[$1]) }
        }
        let numbers = try keys.integers()
        return numbers.indices.sorted { numbers[$0] < numbers[$1] }
    }

    /// By bytes: texts that Unicode has for equivalent are two keys.
    private static func isSame(_ keys: Tensor, _ a: Int, _ b: Int) throws(TensorError) -> Bool {
        let (a, b) = (try text(of: keys, a), try text(of: keys, b))
        return a.utf8.elementsEqual(b.utf8)
    }

    private static func text(of keys: Tensor, _ index: Int) throws(TensorError) -> String {
        if let strings = keys.strings { return strings[index] }
        switch keys.dtype {
        case .int64: return "\(try keys.view(of: Int64.self)[index])"
        case .int32: return "\(try keys.view(of: Int32.self)[index])"
        default: throw TensorError("keys of a map are of type \(keys.dtype), expected string, int64 or int32")
        }
    }
}
