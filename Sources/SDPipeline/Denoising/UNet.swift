import Foundation
import GraphRuntime
import Synchronization

/// The U-Net's graph: predictions for rows of noisy latents, each with a conditioning of its own.
struct UNet: Sendable {
    /// What is changed in its graph when it is loaded.
    struct Edits: Hashable, Sendable {
        /// Whether the residuals of ControlNets are added.
        var takesResiduals = false
        /// Whether FreeU's factors are applied.
        var takesFreeU = false
        /// The skip connection at which the graph is cut, see ``GraphCut``; nil for a graph in one piece.
        var cutBranch: Int?
    }

    /// Where the residuals of ControlNets go.
    struct Residuals: Sendable {
        /// One for each skip connection, in the order of the way down, and at last the middle block's.
        let inputs: [InputDeclaration]
        /// Their channels, where the graph tells them.
        let channels: [Int?]
    }

    let component: Component
    /// What computes the prediction of the hidden states that ``component`` answers too; nil for a graph in one piece.
    private let shallow: Component?
    let configuration: UNetConfiguration
    /// Nil where it takes none.
    let residuals: Residuals?
    /// The ControlNets that are inside of the graph; nil for none.
    let builtIn: BuiltInControl?
    private let inputs: NetworkInputs
    /// The weights that adapters change; nil for none.
    let merged: MergedWeights?
    /// The adapters; nil for none.
    var mix: AdapterMix?
    /// What the deep part made, where the graph is cut; nil where every evaluation computes all.
    var deepFeatures: DeepFeatures?

    /// What many runs in a row get as the same tensor, see ``SessionOptions/steadyInputs``.
    static let steadyInputs: Set<String> = [
        "encoder_hidden_states", "text_embeds", "time_ids", "timestep_cond", "controlnet_cond", "controlnet_conds",
        FreeUFilter.inputName,
    ]

    /// - Parameters:
    ///   - addedInputs: the inputs that the family's conditioning gives besides the states.
    ///   - family: what messages call the model.
    ///   - adapters: puts merged weights into the graph.
    /// - Throws: ``PipelineError`` for a graph that can't be run or isn't a U-Net's, or where an edit finds no place in it.
    init(
        _ file: URL, edits: Edits, configuration: UNetConfiguration, addedInputs: [String], family: String,
        adapters: AdapterSet = AdapterSet(), options: SessionOptions
    ) throws {
        let (places, place) = (EditPlaces(), MergedWeights.Place())
        let component = try Component("unet", file: file, options: options) { graph, title in
            try adapters.merge(into: &graph, of: "unet", title: title, options: options, place: place)
            try Self.apply(edits, to: &graph, title: title, places: places)
        }
        (merged, mix) = (place.found?.weights, place.found?.mix)
        shallow = try places.takeCut().map { cut, graph in
            try Component("shallow part of the \(component.title)", of: component, graph: graph, edit: cut.keepShallow)
        }
        self.component = component
        self.configuration = configuration
        builtIn = BuiltInControl(component)
        let found = edits.takesResiduals && builtIn == nil ? places.found : nil
        residuals = try found.map { names, channels in
            Residuals(inputs: try names.all.map { try component.input([$0], position: .max) }, channels: channels)
        }
        let own = [builtIn?.pictures.name, builtIn?.scales?.name, edits.takesFreeU ? FreeUFilter.inputName : nil].compactMap {
            $0
        }
        inputs = try NetworkInputs(
            component, addedInputs: addedInputs, others: Set(own).union(found?.names.all ?? []), family: family)
    }

    private static func apply(_ edits: Edits, to graph: inout Graph, title: String, places: EditPlaces) throws {
        let hasControlNets = graph.inputs.contains { BuiltInControl.inputNames.contains(graph.values[$0].name) }
        let declared = hasControlNets ? nil : ControlResiduals.declared(in: graph)
        let takesAdded = edits.takesResiduals && declared == nil && !hasControlNets
        let needsConnections = edits.takesFreeU || edits.cutBranch != nil || takesAdded
        let connections = needsConnections ? try SkipConnections(graph, title: title) : nil
        if let declared {
            if edits.takesResiduals {
                let channels = declared.all.map { name -> Int? in
                    guard let id = graph.inputs.first(where: { graph.values[$0].name == name }),
                        case .tensor(_, let dimensions?)? = graph.values[id].type, dimensions.count == 4,
                        case .fixed(let extent) = dimensions[1]
                    else { return nil }
                    return extent
                }
                places.found = (declared, channels)
                declared.relax(in: &graph)
            } else {
                try declared.remove(from: &graph)
            }
        } else if edits.takesResiduals, let connections, !hasControlNets {
            let channels = connections.connections.reversed().map(\.skipChannels) + [connections.connections[0].hiddenChannels]
            places.found = (try ControlResiduals.added(to: &graph, at: connections), channels)
        }
        guard let connections else { return }
        if edits.takesFreeU { try FreeUFilter.add(to: &graph, at: connections, title: title) }
        if let branch = edits.cutBranch {
            let cut = try GraphCut(connections, branch: branch)
            try cut.addOutput(to: &graph)
            places.put(cut, graph)
        }
    }

    /// What edits find, told to who loads the graph.
    private final class EditPlaces: Sendable {
        private let value = Mutex<(names: ControlResiduals, channels: [Int?])?>(nil)
        private let cut = Mutex<(cut: GraphCut, graph: Graph)?>(nil)

        var found: (names: ControlResiduals, channels: [Int?])? {
            get { value.withLock { $0 } }
            set { value.withLock { $0 = newValue } }
        }

        func put(_ cut: GraphCut, _ graph: Graph) { self.cut.withLock { $0 = (cut, graph) } }

        /// The cut, and the graph that it is made in, once.
        func takeCut() -> (cut: GraphCut, graph: Graph)? {
            cut.withLock { value in
                defer { value = nil }
                return value
            }
        }
    }

    /// Gives back the memory of values that is kept for the next run.
    func releaseMemory() { for part in [component, shallow] { part?.session.releaseMemory() } }

    /// Whether the graph has one of the inputs that conditioning may give.
    func takes(_ input: String) -> Bool { inputs.takes(input) }

    /// The batch that the export fixed; nil where any will do.
    var fixedBatch: Int? { inputs.fixedBatch }

    /// See ``NetworkInputs/tensors(of:)``.
    func tensors(of rows: [Conditioning]) throws -> [String: Tensor] { try inputs.tensors(of: rows) }

    /// The prediction for rows, float32 [rows, C, h, w].
    ///
    /// - Parameters:
    ///   - latents: the values of each row, [C, h, w].
    ///   - shape: [rows, C, h, w].
    ///   - evaluation: tells what is computed, where the graph is cut.
    ///   - further: all other inputs, from ``tensors(of:)`` and of ControlNets and FreeU.
    mutating func predict(
        _ latents: [ArraySlice<Float>], shape: [Int], at evaluation: Evaluation, further: [String: Tensor],
        observer: (any RunObserver)?
    ) throws -> Tensor {
        var all = further.merging(try inputs.tensors(latents, shape: shape, timestep: evaluation.timestep)) { $1 }
        var (network, names) = (component, [["out_sample", "sample", "noise_pred"]])
        if let shallow, let features = deepFeatures?.tensor(at: evaluation) {
            network = shallow
            all[GraphCut.name] = features
        } else if shallow != nil {
            names.append([GraphCut.name])
        }
        let outputs = try MergedWeights.with(mix, of: merged, in: [component, shallow].compactMap { $0?.session }) {
            try network.outputs(names, of: all, observer: observer)
        }
        if outputs.count > 1 { deepFeatures?.keep(outputs[1], at: evaluation) }
        let output = outputs[0]
        guard output.shape.rank == 4, output.shape[0] == shape[0], output.shape.dimensions.suffix(2) == shape.suffix(2) else {
            throw PipelineError("The U-Net answers \(output.shape) to latents of shape \(shape).", kind: .failedRun)
        }
        return output
    }
}
