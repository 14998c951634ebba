import GraphRuntime

/// The U-Net's graph: predictions for rows of noisy latents, each with a conditioning of its own.
struct UNet: Sendable {
    let component: Component
    let configuration: UNetConfiguration
    private let sample: InputDeclaration
    private let timestep: InputDeclaration
    private let states: InputDeclaration
    private let added: [InputDeclaration]

    /// What many runs in a row get as the same tensor, see ``SessionOptions/steadyInputs``.
    static let steadyInputs: Set<String> = ["encoder_hidden_states", "text_embeds", "time_ids", "timestep_cond"]

    /// - Parameters:
    ///   - addedInputs: the inputs that the family's conditioning gives besides the states.
    ///   - family: what messages call the model.
    init(_ component: Component, configuration: UNetConfiguration, addedInputs: [String], family: String) throws {
        self.component = component
        self.configuration = configuration
        sample = try component.input(["sample"], position: 0)
        timestep = try component.input(["timestep", "timesteps", "t"], position: 1)
        states = try component.input(["encoder_hidden_states"], position: 2)
        added = addedInputs.compactMap { component.optionalInput([$0]) }
        let known = Set([sample.name, timestep.name, states.name] + added.map(\.name))
        if let other = component.session.inputs.first(where: { !known.contains($0.name) }) {
            throw PipelineError(
                "The U-Net takes the input \"\(other.name)\", which \(family) doesn't have.", kind: .unsupportedModel)
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
                "The prompt takes \(first.tokenCount) states, in chunks, and the U-Net was exported for \(count): a shorter prompt is needed, or "
                    + "an export with a free sequence length.", kind: .unsupportedModel)
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

    /// The prediction for rows, float32 [rows, C, h, w].
    ///
    /// - Parameters:
    ///   - latents: the values of each row, [C, h, w].
    ///   - shape: [rows, C, h, w].
    ///   - conditioning: from ``tensors(of:)``.
    func predict(
        _ latents: [ArraySlice<Float>], shape: [Int], timestep: Float, conditioning: [String: Tensor],
        observer: (any RunObserver)?
    ) throws -> Tensor {
        let rows = shape[0]
        var inputs = conditioning
        inputs[sample.name] = try sample.tensor(rows: latents, shape: shape)
        inputs[self.timestep.name] = try timestepTensor(timestep, rows: rows)
        let output = try component.output(["out_sample", "sample", "noise_pred"], of: inputs, observer: observer)
        guard output.shape.rank == 4, output.shape[0] == rows, output.shape.dimensions.suffix(2) == shape.suffix(2) else {
            throw PipelineError("The U-Net answers \(output.shape) to latents of shape \(shape).", kind: .failedRun)
        }
        return output
    }

    private func timestepTensor(_ value: Float, rows: Int) throws -> Tensor {
        guard let dimensions = timestep.dimensions, let first = dimensions.first else {
            return try timestep.tensor([value], shape: [])
        }
        let count = if case .fixed(let extent) = first { extent } else { rows }
        return try timestep.tensor(Array(repeating: value, count: count), shape: [count])
    }
}
