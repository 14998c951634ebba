import GraphRuntime

/// A text encoder: token ids to the states that the U-Net attends to.
struct TextEncoder: Sendable {
    /// Which of its states a U-Net attends to.
    enum States: Sendable {
        /// Those after the last layer and its normalisation.
        case last
        /// Those before the last layer, as in SDXL; exports name all layers' states hidden_states.0, hidden_states.1, ….
        case penultimate
    }

    let component: Component
    private let input: InputDeclaration
    private let outputs: [String]
    private let pooledOutput: String?

    /// - Throws: ``PipelineError`` where the graph lacks the input or the output.
    init(_ component: Component, states: States) throws {
        self.component = component
        input = try component.input(["input_ids"], position: 0)
        switch states {
        case .last: outputs = ["last_hidden_state", "hidden_states"]
        case .penultimate:
            let prefix = "hidden_states."
            let layers = component.session.outputs.compactMap { output in
                output.name.hasPrefix(prefix) ? Int(output.name.dropFirst(prefix.count)) : nil
            }
            guard let last = layers.max(), last > 0, layers.contains(last - 1) else {
                throw PipelineError(
                    "The \(component.title) has the outputs \(component.session.outputs.map(\.name).joined(separator: ", ")), expected the states "
                        + "of every layer (hidden_states.0 and so on), which exports of SDXL have.", kind: .unsupportedModel)
            }
            outputs = ["\(prefix)\(last - 1)"]
        }
        pooledOutput = component.session.outputs.map(\.name).first { $0 == "text_embeds" }
    }

    /// The states of rows of token ids, all of one length.
    func encode(_ rows: [[Int]], observer: (any RunObserver)? = nil) throws -> [PromptStates] {
        let length = rows.first?.count ?? 0
        let step = input.fixedBatch ?? max(rows.count, 1)
        return try stride(from: 0, to: rows.count, by: step).flatMap { start in
            let part = Array(rows[start..<min(start + step, rows.count)])
            let ids = (part + Array(repeating: part[0], count: step - part.count)).flatMap { $0 }
            let results = try component.outputs(
                [outputs] + (pooledOutput.map { [[$0]] } ?? []),
                of: [input.name: try input.tensor(integers: ids, shape: [step, length])], observer: observer)
            let states = results[0]
            guard states.shape.rank == 3, states.shape[0] == step, states.shape[1] == length else {
                throw PipelineError("The \(component.title) answers \(states.shape), expected [\(step), \(length), width].")
            }
            let width = states.shape[2]
            let values = try states.array(of: Float.self)
            let pooled = try results.dropFirst().first.map { pooled in
                guard pooled.shape.rank == 2, pooled.shape[0] == step else {
                    throw PipelineError(
                        "The \(component.title) answers pooled states \(pooled.shape), expected [\(step), width].")
                }
                return try pooled.array(of: Float.self)
            }
            return part.indices.map { row in
                func slice(_ values: [Float], _ size: Int) -> [Float] { Array(values[row * size..<(row + 1) * size]) }
                return PromptStates(
                    values: slice(values, length * width), tokenCount: length, width: width,
                    pooled: pooled.map { slice($0, $0.count / step) })
            }
        }
    }
}
