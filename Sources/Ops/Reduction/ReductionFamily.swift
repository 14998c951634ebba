import GraphRuntime

/// Operators that reduce along axes.
enum ReductionFamily {
    static let definitions: [OperatorDefinition] =
        Reduce.definitions + ArgExtreme.definitions + Cumulative.definitions + Det.definitions
}
