/// A value's index in its graph's ``Graph/values``.
public typealias ValueID = Int

/// A directed acyclic graph of operators over values, as a model file states it.
///
/// Invariants (checked by ``validate()``): every id is an index into ``values``; a value has one source at most (an input, a
/// capture, an initializer or one node's output; an initializer may also be an input, whose default it then is); nodes stand in an
/// order in which each reads only what earlier ones wrote.
public struct Graph: Sendable {
    /// The file's name of the graph; may be empty.
    public var name: String
    /// Every value, by its id: inputs, initializers, captures and what nodes write.
    public var values: [ValueDeclaration]
    /// What a run must be given, in the order of the file.
    public var inputs: [ValueID]
    /// What a run answers, in the order of the file; a value may be listed more than once.
    public var outputs: [ValueID]
    /// In an order in which each reads only what earlier ones wrote.
    public var nodes: [Node]
    /// The values that the file states itself, such as weights.
    public var initializers: [ValueID: Tensor]
    /// In the graph of an attribute (`then_branch`, `body`): the values that come from the graph around it. The node that has the
    /// attribute names their sources in ``Node/captures``.
    public var captures: [ValueID]
    /// Those of ``initializers`` that a ``Session`` may be given other values for, see ``Session/replaceConstant(_:with:)``. They lie in
    /// memory or are computed when they are needed, and are packed all the same as those of a mapped file are.
    public var replaceable: Set<ValueID> = []

    /// A graph of these parts, which aren't checked: see ``validate()``.
    public init(
        name: String = "", values: [ValueDeclaration] = [], inputs: [ValueID] = [], outputs: [ValueID] = [], nodes: [Node] = [],
        initializers: [ValueID: Tensor] = [:], captures: [ValueID] = []
    ) {
        self.name = name
        self.values = values
        self.inputs = inputs
        self.outputs = outputs
        self.nodes = nodes
        self.initializers = initializers
        self.captures = captures
    }

    /// Adds a value and returns its id.
    public mutating func addValue(_ declaration: ValueDeclaration) -> ValueID {
        values.append(declaration)
        return values.count - 1
    }
}

/// What a graph says about a value before it is known.
public struct ValueDeclaration: Sendable {
    /// The file's name of the value.
    public var name: String
    /// Nil where the file doesn't say.
    public var type: ValueType?

    /// A declaration; a nil type says nothing.
    public init(name: String, type: ValueType? = nil) {
        self.name = name
        self.type = type
    }
}

/// The type of a value, as ONNX's TypeProto states it.
public indirect enum ValueType: Sendable, Equatable {
    /// A tensor; its shape is nil where not even the rank is stated.
    case tensor(DType, [Dimension]?)
    /// A sparse tensor, with the type and the extents that it has when it is written out.
    case sparseTensor(DType, [Dimension]?)
    /// A list of values of one type.
    case sequence(ValueType)
    /// A value of a type, or none.
    case optional(ValueType)
    /// A map from keys of a type to values of another.
    case map(DType, ValueType)
}

/// The extent of an axis in a declaration.
public enum Dimension: Sendable, Equatable, CustomStringConvertible {
    /// A number of elements, 0 or more in a valid declaration.
    case fixed(Int)
    /// A name such as `batch_size`, or an expression such as `latent_height * 8`.
    case symbolic(String)
    /// Any extent; two of them needn't be the same.
    case unknown

    public var description: String {
        switch self {
        case .fixed(let extent): String(extent)
        case .symbolic(let name): name
        case .unknown: "?"
        }
    }
}

extension ValueType: CustomStringConvertible {
    public var description: String {
        func list(_ shape: [Dimension]?) -> String {
            shape.map { "[" + $0.map { $0.description.shortened(to: String.longestName) }.joined(separator: ", ") + "]" }
                ?? "[…]"
        }
        return switch self {
        case .tensor(let dtype, let shape): "\(dtype)\(list(shape))"
        case .sparseTensor(let dtype, let shape): "sparse \(dtype)\(list(shape))"
        case .sequence(let element): "sequence of \(element)"
        case .optional(let element): "optional \(element)"
        case .map(let key, let value): "map from \(key) to \(value)"
        }
    }
}
