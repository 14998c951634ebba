import GraphRuntime

/// How much an adapter counts in a run.
public struct AdapterWeight: Sendable, Equatable {
    /// The adapter's, see ``LoRA/name``.
    public var name: String
    /// For the U-Net.
    public var weight: Double
    /// For the text encoders.
    public var textWeight: Double

    /// How much an adapter counts.
    ///
    /// - Parameters:
    ///   - name: the adapter's.
    ///   - weight: for the U-Net.
    ///   - textWeight: for the text encoders; nil takes `weight`.
    public init(name: String, weight: Double, textWeight: Double? = nil) {
        (self.name, self.weight, self.textWeight) = (name, weight, textWeight ?? weight)
    }
}

extension [AdapterWeight] {
    /// For ``AdapterMix``.
    var unetStrengths: [Float] { map { Float($0.weight) } }
    var textStrengths: [Float] { map { Float($0.textWeight) } }
}

/// The adapters of a model.
struct AdapterSet: Sendable {
    let loras: [LoRA]
    /// Whether graphs are loaded so that other adapters can take the place of these.
    private let isOpen: Bool
    private let folder: ModelFolder?
    private let parts: Set<AdapterKey.Part>

    /// None.
    init() { (loras, isOpen, folder, parts) = ([], false, nil, []) }

    /// - Parameter isOpen: whether there may be others later, where there are none so far.
    /// - Throws: ``PipelineError`` where two have one name, or a weight isn't a number.
    init(_ loras: [LoRA], family: ModelFamily, folder: ModelFolder, isOpen: Bool) throws {
        var names: Set<String> = []
        if let name = loras.map(\.name).first(where: { !names.insert($0).inserted }) {
            throw PipelineError("Two LoRAs have the name \(name): they need different ones.", kind: .invalidRequest)
        }
        for lora in loras {
            for weight in [lora.weight, lora.textWeight] where !Float(weight).isFinite {
                throw PipelineError(
                    "The weight of the LoRA \(lora.name) is \(weight), expected a number that single precision holds.",
                    kind: .invalidRequest)
            }
        }
        (self.loras, self.folder, self.isOpen) = (loras, folder, isOpen || !loras.isEmpty)
        parts = Set([.unet] + family.textEncoders.compactMap { AdapterKey.Part(rawValue: $0.folder) })
    }

    /// The prompt without tags, and what each adapter counts. A literal prompt has no tags, and without adapters all of it is text.
    ///
    /// - Throws: ``PipelineError`` for an adapter that there isn't.
    func read(_ request: GenerationRequest) throws -> (prompt: String, weights: [AdapterWeight]) {
        let prompt = request.prompt
        var weights = loras.map { AdapterWeight(name: $0.name, weight: $0.weight, textWeight: $0.textWeight) }
        for asked in request.loraWeights {
            guard let index = loras.firstIndex(where: { $0.name == asked.name }) else {
                throw PipelineError(
                    "The request has a weight for the LoRA \"\(asked.name.prefix(80))\", which the model hasn't.",
                    kind: .invalidRequest)
            }
            guard Float(asked.weight).isFinite, Float(asked.textWeight).isFinite else {
                throw PipelineError(
                    "The weights of the LoRA \(asked.name) are \(asked.weight) and \(asked.textWeight), expected numbers that single precision holds.",
                    kind: .invalidRequest)
            }
            weights[index] = asked
        }
        guard !loras.isEmpty, request.promptSyntax != .plain else { return (prompt, weights) }
        let (rest, tags) = try LoRATag.taken(from: prompt)
        for tag in tags {
            guard let index = loras.firstIndex(where: { $0.name == tag.name }) else {
                throw PipelineError(
                    "The prompt names the LoRA \"\(tag.name.prefix(80))\", and there \(loras.count == 1 ? "is" : "are") \(loras.map(\.name).prefix(10).joined(separator: ", ")).",
                    kind: .invalidRequest)
            }
            weights[index].weight += tag.weight
            weights[index].textWeight += tag.textWeight
        }
        return (rest, weights)
    }

    /// Puts weights that adapters may change into a component's graph; nothing where there never are adapters.
    ///
    /// - Parameter place: gets them.
    func merge(
        into graph: inout Graph, of component: String, title: String, options: SessionOptions, place: MergedWeights.Place
    ) throws {
        guard isOpen, let folder, let part = AdapterKey.Part(rawValue: component) else { return }
        let homes = LayerHomes(graph, part: part, folder: folder)
        let placement = try AdapterPlacement(loras, at: homes, part: part, parts: parts, title: title)
        let mix = AdapterMix(placement: placement, strengths: strengths(of: part))
        place.put(
            try MergedWeights(&graph, homes: homes, mix: mix, part: part, parts: parts, title: title, options: options), mix)
    }

    /// The adapters of a component that is loaded: as a mix for its weights; nil where it must be loaded anew for them.
    ///
    /// - Parameter merged: its weights; nil where it was loaded without adapters.
    /// - Throws: ``PipelineError`` where an adapter can't be used.
    func mix(for merged: MergedWeights?, of component: String) throws -> Adapted? {
        guard let part = AdapterKey.Part(rawValue: component) else { return .unchanged }
        guard let merged else {
            return loras.contains { $0.modules.contains { $0.home(among: parts) == part } } ? nil : .unchanged
        }
        return try merged.placement(of: loras).map {
            .mixed(AdapterMix(placement: $0, strengths: strengths(of: part)))
        }
    }

    /// What adapters make of a component.
    enum Adapted {
        /// They aren't for it.
        case unchanged
        case mixed(AdapterMix)
    }

    private func strengths(of part: AdapterKey.Part) -> [Float] {
        loras.map { Float(part == .unet ? $0.weight : $0.textWeight) }
    }

    /// What a person may want to know about the places that the adapters have found.
    ///
    /// - Throws: ``PipelineError`` where an adapter has found none.
    func notices(_ components: [(title: String, mix: AdapterMix?)]) throws -> [GenerationNotice] {
        var result: [GenerationNotice] = []
        for (index, lora) in loras.enumerated() {
            let reports = components.compactMap { $0.mix?.placement.report }
            let known = lora.modules.filter { !parts.contains($0.home(among: parts)) }.map {
                "\($0.part.rawValue).\($0.module)"
            }
            let homeless = reports.flatMap { $0.homeless[index] } + known
            guard reports.contains(where: { $0.found[index] > 0 }) else {
                let names = homeless.prefix(3).map { $0.shortened(to: 100) }.joined(separator: ", ")
                throw PipelineError(
                    "The LoRA \(lora.path) changes \(lora.modules.count) modules, such as \(names), and the model has none of them: it is of another kind of model, or the graphs' names and sizes don't tell.",
                    kind: .invalidRequest)
            }
            if !homeless.isEmpty || !lora.unknownKeys.isEmpty {
                result.append(
                    .adapterPartlyUsed(
                        name: lora.name, modules: homeless, total: lora.modules.count, keys: lora.unknownKeys))
            }
        }
        for (title, mix) in components {
            guard let count = mix?.placement.report.byOrder, count > 0 else { continue }
            result.append(.layersFoundByOrder(count: count, component: title))
        }
        return result
    }
}
