import GraphRuntime

/// The text encoder: token ids to the states that the U-Net attends to.
struct TextEncoder: Sendable {
    let component: Component
    private let input: InputDeclaration

    init(_ component: Component) throws {
        self.component = component
        input = try component.input(["input_ids"], position: 0)
    }

    /// The last hidden state, [rows, length, width], of rows of token ids of equal length.
    func encode(_ rows: [[Int]], observer: (any RunObserver)? = nil) throws -> Tensor {
        let length = rows.first?.count ?? 0
        let step = input.fixedBatch ?? max(rows.count, 1)
        var states: [Float] = []
        var width = 0
        for start in stride(from: 0, to: rows.count, by: step) {
            let part = Array(rows[start..<min(start + step, rows.count)])
            let padded = part + Array(repeating: part[0], count: step - part.count)
            let ids = padded.flatMap { $0.map(Float.init) }
            let state = try component.output(
                ["last_hidden_state", "hidden_states"], of: [input.name: try input.tensor(ids, shape: [step, length])],
                observer: observer)
            guard state.shape.rank == 3, state.shape[0] == step, state.shape[1] == length else {
                throw PipelineError("The text encoder answers \(state.shape), expected [\(step), \(length), width].")
            }
            width = state.shape[2]
            states += try state.array(of: Float.self).prefix(part.count * length * width)
        }
        return try Tensor(states, shape: Shape([rows.count, length, width]))
    }
}
