import GraphRuntime

/// A text encoder: token ids to the states that the U-Net attends to.
struct TextEncoder: Sendable {
    let component: Component
    private let input: InputDeclaration

    init(_ component: Component) throws {
        self.component = component
        input = try component.input(["input_ids"], position: 0)
    }

    /// The last hidden states of rows of token ids, all of one length.
    func encode(_ rows: [[Int]], observer: (any RunObserver)? = nil) throws -> [PromptStates] {
        let length = rows.first?.count ?? 0
        let step = input.fixedBatch ?? max(rows.count, 1)
        return try stride(from: 0, to: rows.count, by: step).flatMap { start in
            let part = Array(rows[start..<min(start + step, rows.count)])
            let ids = (part + Array(repeating: part[0], count: step - part.count)).flatMap { $0 }
            let states = try component.output(
                ["last_hidden_state", "hidden_states"],
                of: [input.name: try input.tensor(integers: ids, shape: [step, length])], observer: observer)
            guard states.shape.rank == 3, states.shape[0] == step, states.shape[1] == length else {
                throw PipelineError("The \(component.title) answers \(states.shape), expected [\(step), \(length), width].")
            }
            let width = states.shape[2]
            let values = try states.array(of: Float.self)
            return part.indices.map { row in
                PromptStates(
                    values: Array(values[row * length * width..<(row + 1) * length * width]), tokenCount: length, width: width)
            }
        }
    }
}
