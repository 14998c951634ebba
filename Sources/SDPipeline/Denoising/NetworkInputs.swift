import GraphRuntime

/// What the graphs of U-Nets and of ControlNets both take: rows of noisy latents, the timestep, and what each row is conditioned on.
struct NetworkInputs: Sendable {
    private let title: String
    private let sample: InputDeclaration
    private let timestep: InputDeclaration
    private let states: InputDeclaration
    private let added: [InputDeclaration]

    /// - Parameters:
    ///   - addedInputs: the inputs that the family's conditioning gives besides the states.
    ///   - others: inputs that the network has besides all of these.
    ///   - family: what messages call the model.
    /// - Throws: ``PipelineError`` for a graph that lacks an input, or has one that nobody gives.
    init(_ component: Component, addedInputs: [String], others: Set<String>, family: String) throws {
        title = component.title
        sample = try component.input(["sample"], position: 0)
        timestep = try component.input(["timestep", "timesteps", "t"], position: 1)
        states = try component.input(["encoder_hidden_states"], position: 2)
        added = addedInputs.compactMap { component.optionalInput([$0]) }
        let known = Set([sample.name, timestep.name, states.name] + added.map(\.name)).union(others)
        if let other = component.session.inputs.first(where: { !known.contains($0.name) }) {
            throw PipelineError(
                "The \(title) takes the input \"\(other.name)\", which \(family) doesn't have.", kind: .unsupportedModel)
        }
    }

    /// Whether the graph has one of the inputs that conditioning may give.
    func takes(_ input: String) -> Bool { added.contains { $0.name == input } }

    /// The batch that the export fixed; nil where any will do.
    var fixedBatch: Int? { sample.fixedBatch }

    /// What rows are conditioned on, as the graph takes it, by its inputs' names. What depends on it alone is computed once for runs in
    /// a row with the same tensors.
    func tensors(of rows: [Conditioning]) throws -> [String: Tensor] {
        guard let first = rows.first?.states else { return [:] }
        if case .fixed(let count)? = states.dimensions?.dropFirst().first, first.tokenCount > count {
            throw PipelineError(
                "The prompt takes \(first.tokenCount) states, in chunks, and the \(title) was exported for \(count): a shorter prompt is needed, or "
                    + "an export with a free sequence length.", kind: .unsupportedModel)
        }
        if case .fixed(let width)? = states.dimensions?.dropFirst(2).first, first.width != width {
            throw PipelineError(
                "The \(title) takes states of the prompt of \(width) numbers, and the model's text encoder gives \(first.width): it belongs to "
                    + "another family of models.", kind: .unsupportedModel)
        }
        var result = [
            states.name: try states.tensor(
                rows: rows.map { $0.states.values[...] }, shape: [rows.count, first.tokenCount, first.width])
        ]
        for input in added {
            let values = rows.compactMap { $0.added[input.name] }
            guard values.count == rows.count else { continue }
            result[input.name] = try input.tensor(rows: values.map { $0[...] }, shape: [rows.count, values[0].count])
        }
        return result
    }

    /// Noisy latents and their timestep, by the names of the inputs.
    ///
    /// - Parameters:
    ///   - latents: the values of each row, [C, h, w].
    ///   - shape: [rows, C, h, w].
    func tensors(_ latents: [ArraySlice<Float>], shape: [Int], timestep value: Float) throws -> [String: Tensor] {
        [
            sample.name: try sample.tensor(rows: latents, shape: shape),
            timestep.name: try timestepTensor(value, rows: shape[0]),
        ]
    }

    private func timestepTensor(_ value: Float, rows: Int) throws -> Tensor {
        guard let dimensions = timestep.dimensions, let first = dimensions.first else {
            return try timestep.tensor([value], shape: [])
        }
        let count = if case .fixed(let extent) = first { extent } else { rows }
        return try timestep.tensor(Array(repeating: value, count: count), shape: [count])
    }
}
