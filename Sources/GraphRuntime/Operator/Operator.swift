/// What is known about a value before the run: its type, its shape once that follows from the inputs' shapes, and the value itself
/// where it is a constant.
public struct Fact: Sendable {
    /// Nil for sequences and optionals, and where a loop's result isn't known.
    public var dtype: DType?
    /// Nil where the shape depends on data, and for sequences.
    public var shape: Shape?
    /// Set for constants; while a node is decided on just before it runs, set for everything.
    public var value: Value?

    /// What is known; nil for what isn't.
    public init(dtype: DType? = nil, shape: Shape? = nil, value: Value? = nil) {
        self.dtype = dtype
        self.shape = shape
        self.value = value
    }

    /// Everything about a constant.
    public init(_ value: Value) {
        self.value = value
        if case .tensor(let tensor) = value {
            dtype = tensor.dtype
            shape = tensor.shape
        }
    }

    /// Nothing is known.
    public static let unknown = Fact()

    /// The fact without the value itself.
    public var withoutValue: Fact { Fact(dtype: dtype, shape: shape) }

    /// The tensor, where it is a known one.
    public var tensor: Tensor? {
        if case .tensor(let tensor) = value { tensor } else { nil }
    }
}

/// How much work a node is.
public struct Cost: Sendable, Equatable {
    /// Floating-point operations; a multiply-add counts as two.
    public var flops: Double
    /// Bytes read and written.
    public var bytes: Double

    /// Work of so many operations over so many bytes.
    public init(flops: Double = 0, bytes: Double = 0) {
        self.flops = flops
        self.bytes = bytes
    }
}

/// Where an operator's first output lives.
public enum OutputStorage: Sendable, Equatable {
    /// In memory of its own.
    case separate
    /// In memory of its own, or over any of these inputs (of the same number of bytes) that nobody needs afterwards: the operator
    /// has read element i of every input before it writes element i.
    case mayReplace(inputs: [Int])
    /// The output is input `input` under another shape: nothing is run at all.
    case view(input: Int)
}

/// An operator with its attributes decoded: a value that can be asked for shapes and run any number of times, from any thread.
public protocol Operator: Sendable {
    /// The facts of the outputs, as many as the node may have, from those of the inputs.
    ///
    /// Called at load with what constants tell, at specialisation with concrete input shapes, and, for nodes whose shapes depend on
    /// data, just before the run with every ``Fact/value`` set. An output whose shape isn't known yet has ``Fact/shape`` nil; with
    /// all values set, every output has a shape, or the operator calls ``RunContext/setOutput(_:_:)`` itself. An output fact with a
    /// ``Fact/value`` is a constant (Shape of a known shape): the node then never runs.
    ///
    /// - Throws: ``TensorError`` (or ``GraphError``) where the inputs don't fit the operator, naming shapes and types.
    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact]

    /// Computes the outputs. Every output with an inferred shape is there, uninitialised; every element must be written.
    func run(_ context: inout RunContext) throws

    /// What computes the outputs where the operands are the same places in every run, with all that follows from their types and shapes
    /// decided: to check a node of a few elements takes longer than to compute it. Nil, the default, where ``run(_:)`` does that.
    ///
    /// Operands that aren't constants have no elements yet; all of them outlive what is returned.
    func prepared(for operands: Operands) throws -> PreparedRun?

    /// Where the first output lives; ``OutputStorage/separate`` by default.
    var outputStorage: OutputStorage { get }

    /// False for operators that draw random numbers: they are neither folded nor merged.
    var isDeterministic: Bool { get }

    /// The work on inputs and outputs of these facts; by default only the bytes, with no operations.
    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost

    /// A stronger form for a plan of these very inputs (a kernel chosen for the shapes, weights packed); itself by default.
    ///
    /// - Parameters:
    ///   - inputs: what is known of each input; nil for one that isn't given.
    ///   - outputs: what is known of each output; nil for one that nobody asked for.
    ///   - plan: what else it may choose by.
    func specialised(inputs: [Fact?], outputs: [Fact?], plan: PlanContext) throws -> any Operator

    /// The input that the first output is, element by element, where that follows from these facts: what reads the output then reads
    /// the input, and the node vanishes. By default that of views whose shape is their input's.
    func forwardedInput(inputs: [Fact?], outputs: [Fact?]) -> Int?

    /// A short word for profiles on how it computes (`gemm`, `im2col`); nil by default.
    var kernelName: String? { get }

    /// As ``kernelName``, of a run on inputs and outputs of these facts, where the choice depends on them (Winograd 4×4); by default
    /// ``kernelName``.
    func kernelName(inputs: [Fact?], outputs: [Fact?]) -> String?

    /// The element types of floating-point inputs that ``run(_:)`` takes as they are; the runtime widens half and bfloat16 inputs to
    /// float32 where they are missing here, and rounds outputs as ``HalfRounding`` says. Nil, the default, takes every type.
    var floatingPointTypes: Set<DType>? { get }

    /// Whether a node of these constants stays until the fusions that ask for it (``Fusion/comesBeforeFolding``) have seen it: one that
    /// widens numbers which kernels take as they are. False by default.
    func isFoldedLate(inputs: [Fact?]) -> Bool

    /// Whether ``run(_:)`` takes 16-bit floats of an input as they are where ``floatingPointTypes`` lacks them, beside others in float32:
    /// weights, which a kernel widens as it reads them, so that they are in memory in their own bits. False by default.
    func takesHalves(input index: Int) -> Bool

    /// Whether what it reads as 16-bit floats is rounded to these even where nodes before it hand on float32, see ``HalfRounding``: since its
    /// result shows it. False by default.
    var takesRoundedHalves: Bool { get }

    /// Equal for operators that compute the same from the same inputs, nil (the default) where that isn't known: the key by which
    /// common subexpressions merge. For operators read from a file the runtime derives it from type and attributes.
    var mergeKey: String? { get }
}

extension Operator {
    public func prepared(for operands: Operands) throws -> PreparedRun? { nil }
    public var outputStorage: OutputStorage { .separate }
    public var isDeterministic: Bool { true }
    public var kernelName: String? { nil }
    public func kernelName(inputs: [Fact?], outputs: [Fact?]) -> String? { kernelName }
    public var floatingPointTypes: Set<DType>? { nil }
    public func takesHalves(input index: Int) -> Bool { false }
    public var takesRoundedHalves: Bool { false }
    public var mergeKey: String? { nil }
    public func isFoldedLate(inputs: [Fact?]) -> Bool { false }

    public func forwardedInput(inputs: [Fact?], outputs: [Fact?]) -> Int? {
        guard case .view(let input) = outputStorage, Self.isUnchanged(input, inputs, outputs) else { return nil }
        return input
    }

    /// Whether the first output is known to have the type and shape of an input.
    public static func isUnchanged(_ input: Int, _ inputs: [Fact?], _ outputs: [Fact?]) -> Bool {
        guard input < inputs.count, let fact = inputs[input], let output = outputs.first ?? nil, let shape = fact.shape,
            let dtype = fact.dtype
        else { return false }
        return shape == output.shape && dtype == output.dtype
    }

    public func specialised(inputs: [Fact?], outputs: [Fact?], plan: PlanContext) throws -> any Operator { self }

    public func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost {
        Cost(flops: 0, bytes: Self.bytesMoved(inputs: inputs, outputs: outputs))
    }

    /// The bytes of all inputs and outputs whose shape is known.
    public static func bytesMoved(inputs: [Fact?], outputs: [Fact?]) -> Double {
        (inputs + outputs).reduce(0) { sum, fact in
            guard let fact, let dtype = fact.dtype, let shape = fact.shape else { return sum }
            return sum + Double(shape.count) * Double(dtype.bitWidth) / 8
        }
    }
}

/// An operator that does nothing but convert its input to a type (Cast).
public protocol ConversionOperator: Operator {
    /// The type that it converts to; nil where that isn't an attribute.
    var target: DType? { get }

    /// The same to another type.
    func converting(to dtype: DType) -> any Operator
}

/// The facts of a node's inputs, with accessors that refuse what is missing.
public struct InferenceInputs: Sendable {
    /// Nil for an optional input that isn't given.
    public let facts: [Fact?]
    /// How many outputs the node names, trailing ones that nobody asked for included.
    public let outputCount: Int

    /// Inputs with these facts, nil for one that isn't given, of a node with so many outputs.
    public init(_ facts: [Fact?], outputCount: Int = 1) {
        self.facts = facts
        self.outputCount = outputCount
    }

    /// How many inputs the node names, those that aren't given included.
    public var count: Int { facts.count }

    /// The fact of input `index`, nil where it isn't given.
    public func optional(_ index: Int) -> Fact? { index < facts.count ? facts[index] : nil }

    /// The fact of input `index`.
    ///
    /// - Throws: ``TensorError`` where it isn't given.
    public subscript(index: Int) -> Fact {
        get throws(TensorError) {
            guard let fact = optional(index) else { throw TensorError("input \(index) is missing") }
            return fact
        }
    }

    /// The elements of an input of int64 (or int32) that is a known constant; nil where it isn't known yet.
    ///
    /// - Throws: ``TensorError`` where it is missing or holds something else.
    public func integers(_ index: Int) throws(TensorError) -> [Int]? {
        guard let tensor = try self[index].tensor else { return nil }
        return try tensor.integers()
    }

    /// The elements of an optional input as ``integers(_:)``: `.some(nil)` where it isn't given, nil where it isn't known yet.
    public func optionalIntegers(_ index: Int) throws(TensorError) -> [Int]?? {
        guard let fact = optional(index) else { return .some(nil) }
        guard let tensor = fact.tensor else { return nil }
        return .some(try tensor.integers())
    }
}

extension Tensor {
    /// The elements of a tensor of int64 or int32.
    ///
    /// - Throws: ``TensorError`` for other types.
    public func integers() throws(TensorError) -> [Int] {
        switch dtype {
        case .int64: try view(of: Int64.self).map { Int($0) }
        case .int32: try view(of: Int32.self).map { Int($0) }
        default: throw TensorError("expected integers, found \(dtype)\(shape)")
        }
    }
}
