import Foundation
import GraphRuntime
import Synchronization

/// Adapters in the places that they have in a graph, and how much each counts.
struct AdapterMix: Sendable {
    let placement: AdapterPlacement
    /// In the order of the adapters.
    let strengths: [Float]

    var adapters: [LoRA] { placement.adapters }

    /// What counts for a slot.
    func changes(of slot: AdapterPlacement.Slot) -> [AdapterPlacement.Change] {
        (placement.changes[slot] ?? []).filter { strengths[$0.adapter] != 0 }
    }

    /// The same places with other strengths, where there is one for each adapter.
    func counting(_ strengths: [Float]?) -> AdapterMix {
        guard let strengths, strengths.count == self.strengths.count else { return self }
        return AdapterMix(placement: placement, strengths: strengths)
    }

    fileprivate func isSame(as other: AdapterMix?) -> Bool {
        placement === other?.placement && strengths == other?.strengths
    }

    /// Whether a slot's constant is the same in both.
    fileprivate func agrees(with other: AdapterMix, on slot: AdapterPlacement.Slot) -> Bool {
        let (own, others) = (changes(of: slot), other.changes(of: slot))
        return own.count == others.count
            && zip(own, others).allSatisfy {
                adapters[$0.adapter].identity === other.adapters[$1.adapter].identity
                    && $0.module.module == $1.module.module && strengths[$0.adapter] == other.strengths[$1.adapter]
            }
    }
}

/// The weights of a graph that adapters change, W + Σ s·ΔW, as constants of the graph. Those that no adapter changes stay in the mapped file,
/// and all are in memory in one form alone: packed, where kernels read them so.
///
/// Which adapters there are and how much each counts can be changed between runs: the graph, its plans and all other weights stay as
/// they are.
final class MergedWeights: Sendable {
    typealias Slot = AdapterPlacement.Slot

    private struct State {
        /// Of the constants that the sessions have; nil where a change failed half-way.
        var mix: AdapterMix?
        var runs = 0
    }

    /// Where an edit of a graph leaves them for who loads the graph.
    final class Place: Sendable {
        private let value = Mutex<(weights: MergedWeights, mix: AdapterMix)?>(nil)

        func put(_ weights: MergedWeights, _ mix: AdapterMix) { value.withLock { $0 = (weights, mix) } }

        /// The weights, and the mix that they have at first.
        var found: (weights: MergedWeights, mix: AdapterMix)? { value.withLock { $0 } }
    }

    private let merging: WeightMerging
    private let part: AdapterKey.Part
    private let parts: Set<AdapterKey.Part>
    /// The constants that nodes read in the place of the file's.
    private let slots: [Slot: ValueID]
    private let savesMemory: Bool
    private let state: Mutex<State>
    private let condition = NSCondition()

    /// Puts weights into a graph that adapters may change: all those that the file states in single or half precision, where memory is spared those
    /// of them that nodes read as they are, and what these adapters change besides.
    ///
    /// - Parameters:
    ///   - graph: as the file has it; its layers read other constants afterwards.
    ///   - homes: of modules in the graph.
    ///   - mix: the adapters at first.
    ///   - part: of the model.
    ///   - parts: of the model that there are.
    ///   - title: what messages call the graph.
    ///   - options: of the sessions.
    /// - Throws: ``PipelineError`` where an adapter is of another kind of model, or its tensors don't multiply.
    init(
        _ graph: inout Graph, homes: LayerHomes, mix: AdapterMix, part: AdapterKey.Part, parts: Set<AdapterKey.Part>,
        title: String, options: SessionOptions
    ) throws {
        (self.part, self.parts, savesMemory) = (part, parts, options.savesMemory)
        merging = WeightMerging(homes: homes, threads: options.threads, title: title)
        var slots: [Slot: ValueID] = [:]
        for (index, layer) in homes.layers.enumerated() {
            let (weight, bias) = (Slot(layer: index, isBias: false), Slot(layer: index, isBias: true))
            // Where memory is spared, a weight that is converted in each run can't be changed later: it would have to stay in memory.
            if (savesMemory ? layer.own != nil : layer.weight.isStored) || mix.placement.changes[weight] != nil {
                let value = graph.addValue(ValueDeclaration(name: "sd-onnx.adapted.weight.\(index)"))
                graph.nodes[layer.node].inputs[1] = value
                slots[weight] = value
            }
            if let place = layer.bias, mix.placement.changes[bias] != nil {
                let value = graph.addValue(ValueDeclaration(name: "sd-onnx.adapted.bias.\(index)"))
                graph.nodes[place.node].inputs[place.input] = value
                slots[bias] = value
            }
        }
        let channelsLast = homes.layers.indices.filter {
            homes.layers[$0].order == .channelsLast && slots[Slot(layer: $0, isBias: false)] != nil
        }
        graph.putChannelsFirst(
            Dictionary(
                channelsLast.map { (homes.layers[$0].node, homes.layers[$0].shape.count) },
                uniquingKeysWith: { rank, _ in rank }
            ))
        self.slots = slots
        state = Mutex(State(mix: mix))
        for (slot, value) in slots {
            graph.initializers[value] = try constant(slot, mix)
            graph.replaceable.insert(value)
        }
    }

    /// Places other adapters in the same graph; nil where they change a constant that can't be replaced in it.
    ///
    /// - Throws: ``PipelineError`` where one can't be used.
    func placement(of adapters: [LoRA]) throws -> AdapterPlacement? {
        let result = try AdapterPlacement(adapters, at: merging.homes, part: part, parts: parts, title: merging.title)
        return result.changes.keys.allSatisfy { slots[$0] != nil } ? result : nil
    }

    /// The constant of a slot, of which an unchanged one lies in the file, and a changed one is computed again if it is needed again.
    private func constant(_ slot: Slot, _ mix: AdapterMix) throws -> Tensor {
        let (merging, layer) = (merging, merging.homes.layers[slot.layer])
        if mix.changes(of: slot).isEmpty, !slot.isBias {
            // Where nothing is packed, what lies in a file is given back to the system after each use.
            if savesMemory, let own = layer.own { return own }
            return try Tensor(dtype: layer.dtype, shape: Shape(layer.shape)) { try merging.merged(slot, mix) }
        }
        let made = try merging.merged(slot, mix)
        return try Tensor(dtype: made.dtype, shape: made.shape, known: made) { try merging.merged(slot, mix) }
    }

    /// Runs with the weights of a mix: waits for runs with others to end, and changes the weights where they have others.
    private func with<Result>(_ mix: AdapterMix, in sessions: [Session], _ body: () throws -> Result) throws -> Result {
        try begin(mix, sessions)
        defer {
            condition.lock()
            state.withLock { $0.runs -= 1 }
            condition.broadcast()
            condition.unlock()
        }
        return try body()
    }

    private func begin(_ mix: AdapterMix, _ sessions: [Session]) throws {
        condition.lock()
        defer { condition.unlock() }
        while state.withLock({ !mix.isSame(as: $0.mix) && $0.runs > 0 }) { condition.wait() }
        let old = state.withLock(\.mix)
        if !mix.isSame(as: old) {
            // What a failure leaves is of neither: the next run begins anew.
            state.withLock { $0.mix = nil }
            for (slot, value) in slots where old.map({ !mix.agrees(with: $0, on: slot) }) ?? true {
                try Task.checkCancellation()
                let constant = try constant(slot, mix)
                for session in sessions { try session.replaceConstant(value, with: constant) }
            }
            state.withLock { $0.mix = mix }
        }
        state.withLock { $0.runs += 1 }
    }

    /// Runs with weights that adapters change, if there are such, in all sessions that have them.
    static func with<Result>(
        _ mix: AdapterMix?, of merged: MergedWeights?, in sessions: [Session], _ body: () throws -> Result
    ) throws -> Result {
        guard let merged, let mix else { return try body() }
        return try merged.with(mix, in: sessions, body)
    }
}

extension Graph {
    /// Puts convolutions over channels that come last (NhwcConv) as ones over channels that come first, whose weights are [out, in, kernel…]:
    /// the others' would be transposed ahead of runs, and couldn't be replaced.
    ///
    /// - Parameter ranks: the nodes, and how many axes each has.
    fileprivate mutating func putChannelsFirst(_ ranks: [Int: Int]) {
        guard !ranks.isEmpty else { return }
        var result: [Node] = []
        for (index, node) in nodes.enumerated() {
            guard let rank = ranks[index], let source = node.inputs.first ?? nil, let output = node.outputs.first ?? nil else {
                result.append(node)
                continue
            }
            let axes = (0..<rank).map { Int64($0) }
            func transpose(_ input: ValueID, _ order: [Int64], _ output: ValueID) -> Node {
                Node(
                    name: "\(node.name)/Transpose", identity: OperatorIdentity(type: "Transpose", version: 13), inputs: [input],
                    outputs: [output], attributes: NodeAttributes(["perm": .ints(order)]))
            }
            let first = addValue(ValueDeclaration(name: "sd-onnx.first.\(index)"))
            let made = addValue(ValueDeclaration(name: "sd-onnx.made.\(index)"))
            var convolution = node
            convolution.identity = OperatorIdentity(type: "Conv", version: 11)
            convolution.inputs[0] = first
            convolution.outputs = [made]
            result.append(transpose(source, [0, Int64(rank - 1)] + axes[1..<(rank - 1)], first))
            result.append(convolution)
            result.append(transpose(made, [0] + axes[2...] + [1], output))
        }
        nodes = result
    }
}
