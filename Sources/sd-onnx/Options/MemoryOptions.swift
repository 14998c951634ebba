import ArgumentParser
import GraphRuntime

/// How memory is used.
struct MemoryOptions: ParsableArguments {
    @Flag(
        name: .customLong("low-memory"),
        help: "Take less memory and more time: weights are read from the model's files as they are needed.")
    var savesMemory = false

    @OptionGroup var limitOptions: LimitOptions

    var limits: ResourceLimits { limitOptions.limits }
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
