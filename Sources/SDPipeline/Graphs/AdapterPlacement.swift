import GraphRuntime

/// Where the modules of adapters are in a graph.
final class AdapterPlacement: Sendable {
    /// A constant that adapters change.
    struct Slot: Hashable, Sendable {
        /// See ``WeightedLayers/layers``.
        let layer: Int
        let isBias: Bool
    }

    /// What an adapter has for a slot.
    struct Change: Sendable {
        /// The adapter's place among all.
        let adapter: Int
        let module: AdapterModule
        /// Which of the weight's outputs are the module's; nil for all.
        let packing: WeightedLayers.Packing?
    }

    /// What became of the adapters.
    struct Report: Sendable {
        /// For each adapter, its modules of this part that the graph lacks, or that can't be changed there, with the reason.
        var homeless: [[String]]
        /// For each adapter, how many of its modules the graph has.
        var found: [Int]
        /// How many of the layers that adapters change were told by their order and shapes.
        var byOrder = 0
    }

    let adapters: [LoRA]
    let report: Report
    let changes: [Slot: [Change]]

    /// - Parameters:
    ///   - adapters: all of the model; those without modules for the part change nothing.
    ///   - part: of the model.
    ///   - parts: of the model that there are.
    ///   - title: what messages call the graph.
    /// - Throws: ``PipelineError`` where an adapter has a bias for a layer without.
    init(
        _ adapters: [LoRA], at homes: LayerHomes, part: AdapterKey.Part, parts: Set<AdapterKey.Part>, title: String
    ) throws {
        var report = Report(homeless: adapters.map { _ in [] }, found: adapters.map { _ in 0 })
        var changes: [Slot: [Change]] = [:]
        var layers: Set<Int> = []
        for (index, adapter) in adapters.enumerated() {
            for module in adapter.modules where module.home(among: parts) == part {
                let places = homes.places(of: module.name)
                guard !places.isEmpty else {
                    let reason = homes.reason(of: module.name)
                    report.homeless[index].append(module.module + (reason.map { " (\($0))" } ?? ""))
                    continue
                }
                report.found[index] += 1
                for place in places {
                    layers.insert(place.layer)
                    let change = Change(adapter: index, module: module, packing: place.packing)
                    if module.changesWeight { changes[Slot(layer: place.layer, isBias: false), default: []].append(change) }
                    guard module.changesBias else { continue }
                    guard homes.layers[place.layer].bias != nil else {
                        throw PipelineError(
                            "The LoRA \(adapter.path) has a bias for \(module.module), which has none in the \(title)'s graph.",
                            kind: .invalidRequest)
                    }
                    changes[Slot(layer: place.layer, isBias: true), default: []].append(change)
                }
            }
        }
        report.byOrder = layers.count { homes.byOrder.contains($0) }
        (self.adapters, self.report, self.changes) = (adapters, report, changes)
    }
}

extension AdapterModule {
    var changesWeight: Bool { form != .full || keys[.diff] != nil }
    var changesBias: Bool { keys[.diffBias] != nil || keys[.upBias] != nil }

    /// The part of a model that the module is in. Names without a part are of the text encoder that there is.
    func home(among parts: Set<AdapterKey.Part>) -> AdapterKey.Part {
        part == .textEncoder && !parts.contains(.textEncoder) && parts.contains(.secondTextEncoder) ? .secondTextEncoder : part
    }
}

/// The modules of a graph, by the names that adapters have for them.
struct LayerHomes: Sendable {
    /// Where a module is.
    struct Place: Sendable {
        /// See ``WeightedLayers/layers``.
        let layer: Int
        /// Which of the weight's outputs are the module's; nil for all.
        let packing: WeightedLayers.Packing?
    }

    let layers: [WeightedLayers.Layer]
    /// Those that were told by their order and shapes.
    let byOrder: Set<Int>
    private let known: [String: [Place]]
    private let quantised: [String: String]
    private let layersPerBlock: Int

    /// - Parameter folder: whose configuration tells the layers of a graph without names.
    init(_ graph: Graph, part: AdapterKey.Part, folder: ModelFolder) {
        let isText = part != .unet
        let found = WeightedLayers(graph, isText: isText)
        // What depends on constants alone is computed once, and its weight can't be replaced.
        let computed = graph.valuesOfInputs()
        let layers = found.layers.filter { (graph.nodes[$0.node].inputs.first ?? nil).map(computed.contains) ?? false }
        var known: [String: [Place]] = [:]
        // The surest name of each counts: exporters let layers with equal weights share the name of one.
        for (index, layer) in layers.enumerated() {
            if let name = layer.names.first { known[name, default: []].append(Place(layer: index, packing: nil)) }
            for part in layer.parts { known[part.name, default: []].append(Place(layer: index, packing: part.packing)) }
        }
        var byOrder: Set<Int> = []
        if let expected = ExpectedLayers.of(part, in: folder) {
            let missing = expected.filter { known[$0.name] == nil && found.quantised[$0.name] == nil }
            let nameless = layers.indices.filter { layers[$0].names.isEmpty && layers[$0].parts.isEmpty }
            if !missing.isEmpty, !nameless.isEmpty {
                let named = LayerOrder(graph, isText: isText).named(nameless.map { layers[$0] }, expected: missing)
                for (name, index) in named {
                    known[name] = [Place(layer: nameless[index], packing: nil)]
                    byOrder.insert(nameless[index])
                }
            }
        }
        (self.layers, self.known, self.byOrder, quantised) = (layers, known, byOrder, found.quantised)
        var count = 0
        while known["down_blocks_0_resnets_\(count)_conv1"] != nil { count += 1 }
        layersPerBlock = max(count, 1)
    }

    /// The layers of a module by its name of any trainer.
    func places(of name: String) -> [Place] { own(name).lazy.compactMap { known[$0] }.first ?? [] }

    /// Why a module can't be changed, where that is known.
    func reason(of name: String) -> String? {
        own(name).lazy.compactMap { quantised[$0] }.first.map { "its weight is quantised, for \($0)" }
    }

    /// The names that a module may have here.
    private func own(_ name: String) -> [String] {
        if ModuleNames.isSGM(name) || name.hasPrefix("out_") {
            return [name] + (ModuleNames.diffusers(sgm: name, layers: layersPerBlock).map { [$0] } ?? [])
        }
        return [name] + [ModuleNames.unet(name), ModuleNames.text(name)].compactMap { $0 }
    }
}

extension Graph {
    /// The values that depend on inputs of a run.
    fileprivate func valuesOfInputs() -> Set<ValueID> {
        var result = Set(inputs.filter { initializers[$0] == nil })
        for node in nodes where node.reads.contains(where: result.contains) {
            result.formUnion(node.outputs.compactMap { $0 })
        }
        return result
    }
}
