import GraphRuntime
import Synchronization

/// The U-Net of a model, as its file has it and with the changes that requests ask for.
final class UNets: Sendable {
    /// The one that ran last: each holds packed weights of its own.
    private final class Loaded: Sendable {
        let last: Mutex<(edits: UNet.Edits, unet: UNet)>

        init(_ unet: UNet) { last = Mutex((UNet.Edits(), unet)) }
    }

    private let configuration: PipelineConfiguration
    private let options: SessionOptions
    private let loaded: Loaded
    /// The adapters in the graph that ran last, and the weights that they are for.
    private let placed = Mutex<(merged: MergedWeights, mix: AdapterMix)?>(nil)

    /// Loads the U-Net as it is.
    ///
    /// - Throws: ``PipelineError`` for a graph that can't be run, or isn't a U-Net's.
    init(_ configuration: PipelineConfiguration, options: SessionOptions) throws {
        self.configuration = configuration
        self.options = options
        loaded = Loaded(try Self.load(UNet.Edits(), configuration, options))
    }

    /// The U-Net of the same model with other adapters. There is one for both: it takes the adapters of who runs it.
    init(_ other: UNets, with configuration: PipelineConfiguration) {
        self.configuration = configuration
        (options, loaded) = (other.options, other.loaded)
    }

    /// The U-Net that a plan runs on.
    ///
    /// - Throws: ``PipelineError`` where its graph can't be changed so.
    func unet(_ plan: GenerationPlan) throws -> UNet {
        var edits = UNet.Edits(takesResiduals: !plan.request.controls.isEmpty, takesFreeU: plan.request.freeU != nil)
        var features: DeepFeatures?
        if let deep = plan.request.stepCaching?.deep, deep.interval > 1 {
            edits.cutBranch = deep.branch
            features = DeepFeatures(interval: deep.interval, firstIndex: plan.firstIndex(afterShare: deep.start))
        }
        var unet = try unet(edits)
        unet.mix = unet.mix?.counting(plan.adapterWeights.unetStrengths)
        unet.deepFeatures = features
        return unet
    }

    /// The one that ran last, with the adapters at first.
    ///
    /// - Throws: ``PipelineError`` where an adapter can't be used.
    func current() throws -> UNet { try unet(loaded.last.withLock(\.edits)) }

    private func unet(_ edits: UNet.Edits) throws -> UNet {
        try loaded.last.withLock { last in
            if last.edits == edits, let adapted = try adapted(last.unet) { return adapted }
            last = (edits, try Self.load(edits, configuration, options))
            return last.unet
        }
    }

    /// A U-Net with these adapters; nil where it must be loaded anew for them.
    private func adapted(_ unet: UNet) throws -> UNet? {
        var result = unet
        if let merged = unet.merged, let known = placed.withLock({ $0 }), known.merged === merged {
            result.mix = known.mix
            return result
        }
        guard let adapted = try configuration.adapters.mix(for: unet.merged, of: "unet") else { return nil }
        if case .mixed(let mix) = adapted {
            result.mix = mix
            if let merged = unet.merged { placed.withLock { $0 = (merged, mix) } }
        }
        return result
    }

    func releaseMemory() { loaded.last.withLock { $0.unet.releaseMemory() } }

    private static func load(
        _ edits: UNet.Edits, _ configuration: PipelineConfiguration, _ options: SessionOptions
    ) throws -> UNet {
        try UNet(
            configuration.folder.graph(of: "unet"), edits: edits, configuration: configuration.unet,
            addedInputs: [GuidanceEmbedding.inputName] + (configuration.family.addedConditions?.inputNames ?? []),
            family: "a \(configuration.family.name)", adapters: configuration.adapters, options: options)
    }
}
