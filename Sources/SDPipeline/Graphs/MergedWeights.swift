import Foundation
import GraphRuntime
import Ops
import Synchronization

/// The weights of a graph that adapters change, W + Σ s·ΔW, as constants of the graph: each in memory of its own, while all others stay in
/// the mapped file.
///
/// How much each adapter counts can be changed between runs: the graph, its plans and all other weights stay as they are.
final class MergedWeights: Sendable {
    /// How much the adapters count, in their order.
    typealias Strengths = [Float]

    /// A weight or bias with what is added to it.
    private struct Slot: Sendable {
        /// The constant that nodes read in the place of the file's.
        let value: ValueID
        let layer: WeightedLayers.Layer
        let isBias: Bool
        /// Adapters by their places, and what they have for the module.
        let modules: [(adapter: Int, module: AdapterModule)]
    }

    private struct State {
        var strengths: Strengths
        var runs = 0
    }

    /// What became of the adapters.
    struct Report: Sendable {
        /// For each adapter, names of its modules of this part that the graph lacks.
        var homeless: [[String]]
        /// For each adapter, how many of its modules the graph has.
        var found: [Int]
        /// How many of the layers that adapters change were told by their order and shapes.
        var byOrder = 0
    }

    /// Where an edit of a graph leaves them for who loads the graph.
    final class Place: Sendable {
        private let value = Mutex<MergedWeights?>(nil)

        var merged: MergedWeights? {
            get { value.withLock { $0 } }
            set { value.withLock { $0 = newValue } }
        }
    }

    let report: Report
    private let slots: [Slot]
    private let adapters: [LoRA]
    private let threads: ThreadPool
    private let title: String
    private let state: Mutex<State>
    private let condition = NSCondition()

    /// Puts merged weights into a graph.
    ///
    /// - Parameters:
    ///   - graph: as the file has it; layers that adapters change read other constants afterwards.
    ///   - adapters: all of the model; those without modules for the part change nothing.
    ///   - part: of the model.
    ///   - folder: whose configuration tells the layers of a graph without names.
    ///   - strengths: that the weights have at first.
    /// - Throws: ``PipelineError`` where an adapter is of another kind of model, or its tensors don't multiply.
    init?(
        _ graph: inout Graph, adapters: [LoRA], part: AdapterKey.Part, parts: Set<AdapterKey.Part>, folder: ModelFolder,
        strengths: Strengths, threads: ThreadPool, title: String
    ) throws {
        let own = adapters.map { adapter in adapter.modules.filter { $0.home(among: parts) == part } }
        guard own.contains(where: { !$0.isEmpty }) else { return nil }
        let homes = LayerHomes(graph, part: part, folder: folder)
        var (report, found) = (
            Report(homeless: adapters.map { _ in [] }, found: adapters.map { _ in 0 }),
            [Int: [(adapter: Int, module: AdapterModule)]]()
        )
        for (index, modules) in own.enumerated() {
            for module in modules {
                let places = homes.layers(of: module.name)
                if places.isEmpty { report.homeless[index].append(module.module) } else { report.found[index] += 1 }
                for place in places { found[place, default: []].append((index, module)) }
            }
        }
        report.byOrder = found.keys.count { homes.byOrder.contains($0) }
        self.report = report
        (self.adapters, self.threads, self.title) = (adapters, threads, title)
        var slots: [Slot] = []
        for (place, modules) in found.sorted(by: { $0.key < $1.key }) {
            let layer = homes.layers[place]
            let changesWeight = modules.filter { $0.module.form != .full || $0.module.keys[.diff] != nil }
            let changesBias = modules.filter { $0.module.keys[.diffBias] != nil || $0.module.keys[.upBias] != nil }
            if !changesWeight.isEmpty {
                let value = graph.addValue(ValueDeclaration(name: "sd-onnx.adapted.weight.\(place)"))
                graph.nodes[layer.node].inputs[1] = value
                slots.append(Slot(value: value, layer: layer, isBias: false, modules: changesWeight))
            }
            guard !changesBias.isEmpty else { continue }
            guard let bias = layer.bias else {
                let (adapter, module) = changesBias[0]
                throw PipelineError(
                    "The LoRA \(adapters[adapter].path) has a bias for \(module.module), which has none in the \(title)'s graph.",
                    kind: .invalidRequest)
            }
            let value = graph.addValue(ValueDeclaration(name: "sd-onnx.adapted.bias.\(place)"))
            graph.nodes[bias.node].inputs[bias.input] = value
            slots.append(Slot(value: value, layer: layer, isBias: true, modules: changesBias))
        }
        self.slots = slots
        state = Mutex(State(strengths: strengths))
        for slot in slots {
            graph.initializers[slot.value] = try merged(slot, strengths)
            graph.replaceable.insert(slot.value)
        }
    }

    /// Runs with the weights of these strengths: waits for runs with others to end, and changes the weights where they have others.
    private func withStrengths<Result>(
        _ strengths: Strengths, in sessions: [Session], _ body: () throws -> Result
    ) throws -> Result {
        try begin(strengths, sessions)
        defer {
            condition.lock()
            state.withLock { $0.runs -= 1 }
            condition.broadcast()
            condition.unlock()
        }
        return try body()
    }

    private func begin(_ strengths: Strengths, _ sessions: [Session]) throws {
        condition.lock()
        defer { condition.unlock() }
        while state.withLock({ $0.strengths != strengths && $0.runs > 0 }) { condition.wait() }
        let old = state.withLock(\.strengths)
        if old != strengths {
            // What a failure leaves is of neither: the next run begins anew.
            state.withLock { $0.strengths = [] }
            for slot in slots where old.isEmpty || slot.modules.contains(where: { old[$0.adapter] != strengths[$0.adapter] }) {
                try Task.checkCancellation()
                let constant = try merged(slot, strengths)
                for session in sessions { try session.replaceConstant(slot.value, with: constant) }
            }
            state.withLock { $0.strengths = strengths }
        }
        state.withLock { $0.runs += 1 }
    }

    /// The constant of a slot, in the shape and type that the node reads.
    private func merged(_ slot: Slot, _ strengths: Strengths) throws -> Tensor {
        let layer = slot.layer
        if slot.isBias, let bias = layer.bias {
            var sum = try Self.floats(bias.constant)
            for (adapter, module) in slot.modules {
                let delta = AdapterDelta(module: module, file: adapters[adapter].tensors, threads: threads)
                let added = try explained(adapter, module, "[\(sum.count)]") {
                    try delta.bias(count: sum.count, strength: strengths[adapter])
                }
                if let added { for index in sum.indices { sum[index] += added[index] } }
            }
            return try finished(sum, shape: [sum.count], dtype: bias.dtype, slot)
        }
        let extents = layer.extents
        // [out, in, kernel], whatever the file has.
        var base = try Self.floats(layer.constant)
        let isTransposed = layer.readsTransposed != layer.isStoredTransposed
        if isTransposed { base = Self.transposed(base, rows: extents.inside, columns: extents.out) }
        var sum = base
        for (adapter, module) in slot.modules {
            let delta = AdapterDelta(module: module, file: adapters[adapter].tensors, threads: threads)
            try explained(adapter, module, extents.text) {
                try delta.add(to: &sum, base: base, extents: extents, strength: strengths[adapter])
            }
        }
        if layer.readsTransposed { sum = Self.transposed(sum, rows: extents.out, columns: extents.inside) }
        return try finished(sum, shape: layer.shape, dtype: layer.dtype, slot)
    }

    private func explained<Result>(
        _ adapter: Int, _ module: AdapterModule, _ expected: String, _ body: () throws -> Result
    ) throws -> Result {
        do { return try body() } catch let error as AdapterDelta.Mismatch {
            throw PipelineError(
                "The LoRA \(adapters[adapter].path) is of another kind of model: its difference of \(module.module) has the shape \(error.found), and the \(title)'s weight \(expected).",
                kind: .invalidRequest)
        } catch let error as SafetensorsFile.FormatError {
            throw PipelineError("The LoRA \(adapters[adapter].path) can't be used: \(error.reason).", kind: .malformedFile)
        }
    }

    private func finished(_ values: [Float], shape: [Int], dtype: DType, _ slot: Slot) throws -> Tensor {
        guard values.span.isFinite else {
            let (adapter, module) = slot.modules[0]
            throw PipelineError(
                "With the LoRA \(adapters[adapter].path) the \(title)'s weight \(module.module) has numbers that aren't finite: a smaller weight is needed.",
                kind: .invalidRequest)
        }
        let tensor = try Tensor(values, shape: Shape(shape))
        switch dtype {
        case .float16, .bfloat16:
            let result = try MutableTensor(dtype: dtype, shape: tensor.shape)
            try HalfPrecision.narrow(tensor, into: result)
            return try result.finish()
        case .float64: return try Tensor(values.map { Double($0) }, shape: Shape(shape))
        default: return tensor
        }
    }

    private static func floats(_ tensor: Tensor) throws -> [Float] {
        if tensor.dtype == .float64 { return try tensor.array(of: Double.self).map { Float($0) } }
        return try HalfPrecision.widen(tensor).array(of: Float.self)
    }

    /// The transpose of [rows, columns], in blocks that stay in the cache.
    private static func transposed(_ values: [Float], rows: Int, columns: Int) -> [Float] {
        var result = [Float](repeating: 0, count: values.count)
        let block = 32
        for top in stride(from: 0, to: rows, by: block) {
            for left in stride(from: 0, to: columns, by: block) {
                for row in top..<min(top + block, rows) {
                    for column in left..<min(left + block, columns) {
                        result[column * rows + row] = values[row * columns + column]
                    }
                }
            }
        }
        return result
    }
}

extension MergedWeights {
    /// Runs with weights that adapters change, if there are such, in all sessions that have them.
    static func withStrengths<Result>(
        _ strengths: Strengths?, of merged: MergedWeights?, in sessions: [Session], _ body: () throws -> Result
    ) throws -> Result {
        guard let merged, let strengths else { return try body() }
        return try merged.withStrengths(strengths, in: sessions, body)
    }
}

extension AdapterModule {
    /// The part of a model that the module is in. Names without a part are of the text encoder that there is.
    func home(among parts: Set<AdapterKey.Part>) -> AdapterKey.Part {
        part == .textEncoder && !parts.contains(.textEncoder) && parts.contains(.secondTextEncoder) ? .secondTextEncoder : part
    }
}

/// Where the modules of adapters are in a graph.
private struct LayerHomes {
    let layers: [WeightedLayers.Layer]
    /// Those that were told by their order and shapes.
    let byOrder: Set<Int>
    private let places: [String: [Int]]
    private let layersPerBlock: Int

    init(_ graph: Graph, part: AdapterKey.Part, folder: ModelFolder) {
        let isText = part != .unet
        let found = WeightedLayers(graph, isText: isText)
        let layers = found.layers
        var places: [String: [Int]] = [:]
        // The surest name of each counts: exporters let layers with equal weights share the name of one.
        for (index, layer) in layers.enumerated() {
            if let name = layer.names.first { places[name, default: []].append(index) }
        }
        var byOrder: Set<Int> = []
        if let expected = ExpectedLayers.of(part, in: folder) {
            let missing = expected.filter { places[$0.name] == nil }
            let nameless = layers.indices.filter { layers[$0].names.isEmpty }
            if !missing.isEmpty, !nameless.isEmpty {
                let named = LayerOrder(graph, isText: isText).named(nameless.map { layers[$0] }, expected: missing)
                for (name, index) in named {
                    places[name] = [nameless[index]]
                    byOrder.insert(nameless[index])
                }
            }
        }
        (self.layers, self.places, self.byOrder) = (layers, places, byOrder)
        var count = 0
        while places["down_blocks_0_resnets_\(count)_conv1"] != nil { count += 1 }
        layersPerBlock = max(count, 1)
    }

    /// The layers of a module by its name of any trainer.
    func layers(of name: String) -> [Int] {
        if let found = places[name] { return found }
        if ModuleNames.isSGM(name) || name.hasPrefix("out_") {
            return ModuleNames.diffusers(sgm: name, layers: layersPerBlock).flatMap { places[$0] } ?? []
        }
        if let own = ModuleNames.unet(name), let found = places[own] { return found }
        return ModuleNames.text(name).flatMap { places[$0] } ?? []
    }
}
