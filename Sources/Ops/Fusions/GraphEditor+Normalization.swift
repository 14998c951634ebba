import GraphRuntime

/// What fusions of normalizations that are written out ask a graph.
extension GraphEditor {
    /// Whether a value is a constant of one number for each of `width` elements of a row.
    func isRow(_ id: ValueID, _ width: Int) -> Bool { constant(id)?.shape.dimensions == [width] }

    /// What a node adds an ε to, and the ε.
    func epsilonSum(_ node: Int) -> (ValueID, Float)? {
        for (value, addend) in orders(node, .add) {
            // Beside a smaller ε it would matter which squares are too small for float32.
            if let numbers = floats(addend), numbers.count == 1, numbers[0] >= 1e-20, numbers[0].isFinite {
                return (value, numbers[0])
            }
        }
        return nil
    }

    /// Whether a node computes d².
    func isSquare(_ node: Int, of d: ValueID) -> Bool {
        if operation(node, as: Pow.self) != nil {
            guard let exponent = nodes[node].inputs[1] else { return false }
            return nodes[node].inputs[0] == d && isScalar(exponent, 2)
        }
        return operands(node, .multiply).map { $0 == (d, d) } ?? false
    }

    /// The input of a mean over the last axis that keeps it.
    func lastAxisMean(_ node: Int) -> ValueID? {
        guard let input = nodes[node].inputs.first ?? nil, let shape = shape(input), shape.rank > 0,
            operation(node, as: Reduce.self)?.function == .mean, let output = output(node),
            self.shape(output)?.dimensions == shape.dimensions.dropLast() + [1], shape.dimensions.last != 1
        else { return nil }
        return input
    }
}
