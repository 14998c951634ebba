/// Which inputs of a graph that runs turn by turn are which outputs of the turn before.
public struct CarriedValues: Sendable {
    /// Places among the graph's inputs.
    public let inputs: Range<Int>
    /// As many places among its outputs.
    public let outputs: Range<Int>

    /// `count` inputs from `input` on, and outputs from `output` on, each 0 or more.
    public init(count: Int, input: Int, output: Int) {
        inputs = input..<input + count
        outputs = output..<output + count
    }

    /// All inputs of a turn.
    func inputs(_ values: [Value], _ others: [Value]) -> [Value] {
        Array(others.prefix(inputs.lowerBound)) + values + others.dropFirst(inputs.lowerBound)
    }

    /// The outputs that aren't carried.
    func others(_ results: [Value]) -> [Value] {
        Array(results.prefix(outputs.lowerBound)) + results.dropFirst(outputs.upperBound)
    }
}

extension Plan {
    /// Whether the plan of one turn is that of the next as well: carried values keep their types and shapes, and constants their places.
    func repeats(carrying carried: CarriedValues) -> Bool {
        guard deferred == nil, pages == nil, steadyInputs.isEmpty else { return false }
        let pairs = zip(carried.outputs, carried.inputs).map { (output: graph.outputs[$0], input: graph.inputs[$1]) }
        return pairs.allSatisfy { output, input in
            if locations[input] == .constant { return output == input }
            guard let dtype = facts[input].dtype, dtype != .string, let shape = facts[input].shape else { return false }
            return facts[output].dtype == dtype && facts[output].shape == shape
        } && graph.inputs.indices.allSatisfy { carried.inputs.contains($0) || locations[graph.inputs[$0]] != .constant }
    }
}
