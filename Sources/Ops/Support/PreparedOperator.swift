import GraphRuntime

/// An operator whose run, once its operands' types and shapes are known, is a loop over their elements.
protocol PreparedOperator: Operator {
    /// What computes the outputs, see ``Operator/prepared(for:)``.
    ///
    /// - Throws: ``TensorError`` where the operands don't fit the operator.
    func prepare(_ operands: Operands) throws -> PreparedRun
}

extension PreparedOperator {
    func prepared(for operands: Operands) throws -> PreparedRun? { try prepare(operands) }

    func run(_ context: inout RunContext) throws { try prepare(context.operands)(context.threads) }
}
