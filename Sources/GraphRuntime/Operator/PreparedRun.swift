/// Computes a node's outputs from the operands that it was made for, whose elements differ from run to run.
///
/// - Throws: what ``Operator/run(_:)`` throws.
public typealias PreparedRun = @Sendable (_ threads: ThreadPool) throws -> Void

/// A node's operands: what it reads, and where it writes.
public struct Operands {
    /// Nil for an optional input that isn't given.
    public let inputs: [Value?]
    /// Nil where nobody asked for the output, or its shape wasn't inferred.
    public let outputs: [MutableTensor?]

    /// Operands of a node that names as many inputs and outputs.
    public init(inputs: [Value?], outputs: [MutableTensor?]) {
        self.inputs = inputs
        self.outputs = outputs
    }

    /// The tensor at input `index`.
    ///
    /// - Throws: ``TensorError`` where it is missing or something else.
    public func input(_ index: Int) throws(TensorError) -> Tensor {
        if index < inputs.count, case .tensor(let tensor)? = inputs[index] { return tensor }
        guard let tensor = try optionalInput(index) else { throw TensorError("input \(index) is missing") }
        return tensor
    }

    /// The tensor at input `index`, nil where it isn't given.
    ///
    /// - Throws: ``TensorError`` where it is something else.
    public func optionalInput(_ index: Int) throws(TensorError) -> Tensor? {
        guard index < inputs.count, let value = inputs[index] else { return nil }
        return try value.asTensor()
    }

    /// Output `index`, to be filled.
    ///
    /// - Throws: ``TensorError`` where its shape wasn't inferred.
    public func output(_ index: Int) throws(TensorError) -> MutableTensor {
        guard index < outputs.count, let output = outputs[index] else {
            throw TensorError("output \(index) has no storage: its shape wasn't inferred")
        }
        return output
    }
}
