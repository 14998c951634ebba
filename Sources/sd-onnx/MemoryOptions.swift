import ArgumentParser

/// How memory is used.
struct MemoryOptions: ParsableArguments {
    @Flag(
        name: .customLong("low-memory"),
        help: "Take less memory and more time: weights are read from the model's files as they are needed.")
    var savesMemory = false
}
