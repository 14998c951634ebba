import GraphRuntime

/// The text encoders of a model, which together turn prompts into states.
struct PromptEncoder: Sendable {
    private let encoders: [TextEncoder]

    /// - Parameter encoders: one or more, in the order in which the U-Net has their states.
    init(_ encoders: [TextEncoder]) { self.encoders = encoders }

    /// The states of prompts, in their order.
    func encode(_ prompts: [PromptTokens], observer: (any RunObserver)?) throws -> [PromptStates] {
        let parts = try encoders.enumerated().map { index, encoder in
            // The values of one graph make room for those of the next.
            defer { encoder.component.session.releaseMemory() }
            return try Section.time(encoder.component.title, for: observer) {
                try encoder.encode(prompts.map { $0.rows[index] }, observer: observer)
            }
        }
        return try prompts.indices.map { index in try PromptStates.joined(parts.map { $0[index] }) }
    }
}
