import ArgumentParser
import GraphRuntime

/// How memory is used.
struct MemoryOptions: ParsableArguments {
    @Flag(
        name: .customLong("low-memory"),
        help: "Take less memory and more time: weights are read from the model's files as they are needed.")
    var savesMemory = false

    @Option(
        name: .customLong("panel-cache"), parsing: .unconditional,
        help: ArgumentHelp(
            """
            Keep weights in this folder in the order in which kernels read them, so that the next run with the same model and program \
            needn't pack them: about the size of the model for each precision. Its files may be deleted at any time.
            """, valueName: "DIR"))
    var panelCacheFolder: String?

    @OptionGroup var limitOptions: LimitOptions

    var limits: ResourceLimits { limitOptions.limits }

    /// Whether any of them was given.
    var isGiven: Bool { savesMemory || panelCacheFolder != nil || limitOptions.maxMemory != nil }

    func validate() throws {
        if panelCacheFolder != nil, savesMemory {
            throw ValidationError(
                "--panel-cache keeps packed weights, and --low-memory packs none: leave out one.")
        }
        if panelCacheFolder == "" { throw ValidationError("--panel-cache is a folder, found an empty name.") }
    }

    /// Where packed weights are kept; nil for nowhere.
    ///
    /// - Throws: ``GraphError`` where nothing can be written there.
    func panelCache() throws -> PanelCache? {
        try panelCacheFolder.map { try PanelCache(folder: $0) { StandardStreams.printError($0) } }
    }
}

/// How much a model may take of the machine.
struct LimitOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            """
            Refuse a model that takes more than this for its graph or for the values of a run; weights in files don't count, and constants \
            that would take more are computed in each run. (default: 2GB to load, the machine's memory to run)
            """, valueName: "SIZE"),
        transform: OptionValues.byteCount)
    var maxMemory: Int?

    var limits: ResourceLimits { maxMemory.map { ResourceLimits(memory: $0) } ?? ResourceLimits() }
}
