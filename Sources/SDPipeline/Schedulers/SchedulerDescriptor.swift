/// The kinds of models that schedulers are made for.
public enum ModelKind: String, Sendable, CaseIterable {
    /// Diffusion over a schedule of betas, such as Stable Diffusion 1.x and 2.x.
    case diffusion
    /// Models that were distilled to need a few steps: LCM, TCD.
    case consistency
    /// Models with the preconditioning of Karras et al. 2022.
    case edm
    /// Flow matching.
    case flow
    /// Models of diffusion on noise levels of the scheduler's own, others than those of betas.
    case otherLevels
    /// No model makes pictures with it: it runs backwards, from a picture to noise.
    case inversion
}

/// What there is to know about a kind of scheduler before one is made.
public struct SchedulerDescriptor: Sendable, Equatable {
    /// Another name, perhaps with settings that it stands for (`euler karras`).
    public struct Alias: Sendable, Equatable {
        /// The name, compared without case, spaces, hyphens and underscores.
        public let name: String
        /// The settings that it stands for, by diffusers' names.
        public let overrides: [String: SchedulerValue]

        /// A name, with the settings that it stands for.
        public init(_ name: String, overrides: [String: SchedulerValue] = [:]) {
            self.name = name
            self.overrides = overrides
        }
    }

    /// The class in diffusers, which model folders name; a name in its style for schedulers that it hasn't.
    public let className: String
    /// The short name for the command line.
    public let shortName: String
    /// Other names that people use.
    public let aliases: [Alias]
    /// The keys of the configuration that it reads, with its own defaults.
    public let parameters: [SchedulerParameter]
    /// The options of `SchedulerStepOptions` that it reads, by diffusers' names.
    public let stepOptions: [String]
    /// The order of the solver with its default options.
    public let order: Int
    /// How often the model is evaluated for one step.
    public let evaluationsPerStep: Int
    /// Whether a run can be given its timesteps.
    public let takesTimesteps: Bool
    /// Whether a run can be given its noise levels.
    public let takesSigmas: Bool
    /// Whether a run draws noise with default options.
    public let isStochastic: Bool
    /// The models that it is made for.
    public let modelKind: ModelKind
    /// The paper, with the equations that are implemented.
    public let paper: String

    /// A description; each parameter is the property of its name.
    public init(
        className: String, shortName: String, aliases: [Alias] = [], parameters: [SchedulerParameter],
        stepOptions: [String] = [], order: Int, evaluationsPerStep: Int = 1, isStochastic: Bool, takesTimesteps: Bool = false,
        takesSigmas: Bool = false, modelKind: ModelKind = .diffusion, paper: String
    ) {
        self.modelKind = modelKind
        self.evaluationsPerStep = evaluationsPerStep
        self.takesTimesteps = takesTimesteps
        self.takesSigmas = takesSigmas
        self.className = className
        self.shortName = shortName
        self.aliases = aliases
        self.parameters = parameters
        self.stepOptions = stepOptions
        self.order = order
        self.isStochastic = isStochastic
        self.paper = paper
    }
}
