import GraphRuntime

/// The text encoders of a model, which together turn prompts into states.
struct PromptEncoder: Sendable {
    let encoders: [TextEncoder]

    /// - Parameter encoders: one or more, in the order in which the U-Net has their states.
    init(_ encoders: [TextEncoder]) { self.encoders = encoders }

    /// Loads the text encoders of a model.
    ///
    /// - Parameter clipSkip: see ``GenerationRequest/clipSkip``.
    /// - Throws: ``PipelineError`` where one can't be used.
    init(_ configuration: PipelineConfiguration, clipSkip: Int?, options: SessionOptions) throws {
        self.init(
            try zip(configuration.family.textEncoders, configuration.learnedVectors).map { part, vectors in
                try TextEncoder(
                    part, in: configuration.folder, clipSkip: clipSkip, vectors: vectors, adapters: configuration.adapters,
                    options: options)
            })
    }

    /// The same encoders with the adapters of another configuration, those loaded anew that don't take them otherwise.
    ///
    /// - Throws: ``PipelineError`` where an adapter can't be used.
    func with(_ configuration: PipelineConfiguration, clipSkip: Int?, options: SessionOptions) throws -> PromptEncoder {
        let adapted = try encoders.compactMap { try $0.with(configuration.adapters) }
        if adapted.count == encoders.count { return PromptEncoder(adapted) }
        return try PromptEncoder(configuration, clipSkip: clipSkip, options: options)
    }

    /// The states of prompts, in their order: of as many tokens for each, where a prompt of fewer chunks is filled up by empty ones.
    ///
    /// - Parameters:
    ///   - empty: the chunk that fills up, see `emptyChunk`.
    ///   - strengths: how much each adapter counts; nil as at first.
    func encode(
        _ prompts: [PromptTokens], empty: PromptTokens, strengths: [Float]? = nil,
        observer: (any RunObserver)?
    ) throws -> [PromptStates] {
        let count = prompts.map(\.chunkCount).max() ?? 0
        let parts = try encoders.enumerated().map { index, encoder in
            // The values of one graph make room for those of the next.
            defer { encoder.component.session.releaseMemory() }
            return try Section.time(encoder.component.title, for: observer) {
                let chunks = prompts.map { prompt in
                    let own = prompt.rows[index]
                    return own + Array(repeating: empty.rows[index][0], count: count - own.count)
                }
                return try encoder.encode(chunks, strengths: strengths, observer: observer)
            }
        }
        return try prompts.indices.map { index in try PromptStates.joined(parts.map { $0[index] }) }
    }
}

extension TextEncoder {
    /// The states of prompts of as many chunks each, weighted.
    fileprivate func encode(
        _ prompts: [[PromptTokens.Chunk]], strengths: [Float]?, observer: (any RunObserver)?
    ) throws -> [PromptStates] {
        let all = prompts.flatMap { $0 }
        // Equal chunks of many texts, as editing and alternation make them, are encoded once.
        var (rows, places): ([[Int]], [[Int]: Int]) = ([], [:])
        let indices = all.map { chunk in
            if all.count > Self.rowsAtOnce, let known = places[chunk.ids] { return known }
            places[chunk.ids] = rows.count
            rows.append(chunk.ids)
            return rows.count - 1
        }
        let states = try encode(rows, strengths: strengths, observer: observer)
        var position = 0
        return try prompts.map { chunks in
            let parts = try chunks.map { chunk in
                defer { position += 1 }
                return try states[indices[position]].weighted(by: chunk.weights)
            }
            return PromptStates.following(parts)
        }
    }
}
