import GraphRuntime

/// A text encoder: token ids to the states that the U-Net attends to.
struct TextEncoder: Sendable {
    /// Which of its states a U-Net attends to.
    enum States: Sendable {
        /// Those after the last layer and its normalisation.
        case last
        /// Those before the last layer, as in SDXL; exports name all layers' states hidden_states.0, hidden_states.1, ….
        case penultimate

        /// The same as a clip skip, where none is asked for.
        var clipSkip: Int { self == .last ? 1 : 2 }
    }

    /// Rows that are encoded at once, so that memory doesn't grow with the number of texts.
    static let rowsAtOnce = 8

    let component: Component
    private let input: InputDeclaration
    private let outputs: [String]
    private let pooledOutput: String?
    /// The weights that adapters change; nil for none.
    private let merged: MergedWeights?
    /// The adapters; nil for none.
    private(set) var mix: AdapterMix?

    /// A model's text encoder.
    ///
    /// - Parameters:
    ///   - clipSkip: see ``GenerationRequest/clipSkip``.
    ///   - vectors: of learned words, [count, width]; nil for none.
    ///   - adapters: puts merged weights into the graph.
    /// - Throws: ``PipelineError`` where the file can't be run, or its layers or token embeddings aren't found.
    init(
        _ part: ModelFamily.TextEncoderPart, in folder: ModelFolder, clipSkip: Int?, vectors: Tensor?,
        adapters: AdapterSet = AdapterSet(), options: SessionOptions
    ) throws {
        let place = MergedWeights.Place()
        let leftOut = part.states == .last ? (clipSkip ?? 1) - 1 : 0
        let component = try Component(part.folder, folder: folder, options: options) { graph, title in
            // First: layers that have no names are told by their order in the whole graph.
            try adapters.merge(into: &graph, of: part.folder, title: title, options: options, place: place)
            if leftOut > 0 { try TextEncoderLayers.leaveOut(leftOut, of: &graph, title: title) }
            let inputs = graph.inputs.filter { graph.initializers[$0] == nil }
            if let vectors, let input = inputs.first(where: { graph.values[$0].name == "input_ids" }) ?? inputs.first {
                try TokenEmbeddings.add(vectors, to: &graph, input: input, title: title)
            }
        }
        try self.init(component, states: part.states, clipSkip: clipSkip, place.found)
    }

    /// - Throws: ``PipelineError`` where the graph lacks the input or the output.
    private init(
        _ component: Component, states: States, clipSkip: Int?, _ adapted: (weights: MergedWeights, mix: AdapterMix)?
    ) throws {
        self.component = component
        (merged, mix) = (adapted?.weights, adapted?.mix)
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
            let layer = last + 1 - (clipSkip ?? states.clipSkip)
            guard layer >= 1, layers.contains(layer) else {
                throw TextEncoderLayers.tooMany((clipSkip ?? 1) - 1, layers: last, title: component.title)
            }
            outputs = ["\(prefix)\(layer)"]
        }
        pooledOutput = component.session.outputs.map(\.name).first { $0 == "text_embeds" }
    }

    /// The same encoder with other adapters; nil where it must be loaded anew for them.
    ///
    /// - Throws: ``PipelineError`` where an adapter can't be used.
    func with(_ adapters: AdapterSet) throws -> TextEncoder? {
        guard let adapted = try adapters.mix(for: merged, of: component.name) else { return nil }
        var result = self
        if case .mixed(let mix) = adapted { result.mix = mix }
        return result
    }

    /// The states of rows of token ids, all of one length.
    ///
    /// - Parameter strengths: how much each adapter counts; nil as at first.
    func encode(
        _ rows: [[Int]], strengths: [Float]? = nil, observer: (any RunObserver)? = nil
    ) throws -> [PromptStates] {
        let length = rows.first?.count ?? 0
        let step = input.fixedBatch ?? min(max(rows.count, 1), Self.rowsAtOnce)
        return try stride(from: 0, to: rows.count, by: step).flatMap { start in
            let part = Array(rows[start..<min(start + step, rows.count)])
            let ids = (part + Array(repeating: part[0], count: step - part.count)).flatMap { $0 }
            let results = try MergedWeights.with(mix?.counting(strengths), of: merged, in: [component.session]) {
                try component.outputs(
                    [outputs] + (pooledOutput.map { [[$0]] } ?? []),
                    of: [input.name: try input.tensor(integers: ids, shape: [step, length])], observer: observer)
            }
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
