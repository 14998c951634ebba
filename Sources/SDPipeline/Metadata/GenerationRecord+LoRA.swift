extension GenerationRecord {
    /// What an adapter counted by itself, without the tags of the prompt.
    public func ownWeights(of adapter: Adapter) -> (weight: Double, textWeight: Double) {
        let tags = promptSyntax == PromptSyntax.plain.rawValue ? [] : (try? LoRATag.taken(from: prompt).tags) ?? []
        let named = tags.filter { $0.name == adapter.name }
        // Sums of decimal fractions leave traces.
        func without(_ total: Double, _ tagged: [Double]) -> Double {
            let rest = total - tagged.reduce(0, +)
            return (rest * 1e9).rounded() / 1e9
        }
        return (
            without(adapter.weight, named.map(\.weight)), without(adapter.textWeight, named.map(\.textWeight))
        )
    }

    /// Tags for what adapters counted by themselves, as programs of this field read them.
    var loraTags: String {
        (loras ?? []).map { adapter in
            let (weight, textWeight) = ownWeights(of: adapter)
            guard weight != 0 || textWeight != 0 else { return "" }
            let numbers = weight == textWeight ? [weight] : [textWeight, weight]
            return " <lora:\(adapter.name):\(numbers.map(Self.text).joined(separator: ":"))>"
        }.joined()
    }
}
