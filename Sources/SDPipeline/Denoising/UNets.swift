import GraphRuntime
import Synchronization

/// The U-Net of a model, as its file has it and with the changes that requests ask for.
final class UNets: Sendable {
    private let configuration: PipelineConfiguration
    private let options: SessionOptions
    /// The one that ran last: each holds packed weights of its own.
    private let loaded: Mutex<(edits: UNet.Edits, unet: UNet)>

    /// Loads the U-Net as it is.
    ///
    /// - Throws: ``PipelineError`` for a graph that can't be run, or isn't a U-Net's.
    init(_ configuration: PipelineConfiguration, options: SessionOptions) throws {
        self.configuration = configuration
        self.options = options
        loaded = Mutex((UNet.Edits(), try Self.load(UNet.Edits(), configuration, options)))
    }

    /// The U-Net that a plan runs on.
    ///
    /// - Throws: ``PipelineError`` where its graph can't be changed so.
    func unet(_ plan: GenerationPlan) throws -> UNet {
        var edits = UNet.Edits(takesResiduals: !plan.request.controls.isEmpty, takesFreeU: plan.request.freeU != nil)
        var features: DeepFeatures?
        if case .deep(let interval, let branch)? = plan.request.stepCaching, interval > 1 {
            edits.cutBranch = branch
            features = DeepFeatures(interval: interval, firstIndex: plan.firstIndex)
        }
        return try loaded.withLock { loaded in
            if loaded.edits != edits { loaded = (edits, try Self.load(edits, configuration, options)) }
            var unet = loaded.unet
            unet.strengths = plan.adapterWeights.unetStrengths
            unet.deepFeatures = features
            return unet
        }
    }

    /// The one that ran last.
    var current: UNet { loaded.withLock(\.unet) }

    func releaseMemory() { loaded.withLock { $0.unet.releaseMemory() } }

    private static func load(
        _ edits: UNet.Edits, _ configuration: PipelineConfiguration, _ options: SessionOptions
    ) throws -> UNet {
        try UNet(
            configuration.folder.graph(of: "unet"), edits: edits, configuration: configuration.unet,
            addedInputs: [GuidanceEmbedding.inputName] + (configuration.family.addedConditions?.inputNames ?? []),
            family: "a \(configuration.family.name)", adapters: configuration.adapters, options: options)
    }
}
