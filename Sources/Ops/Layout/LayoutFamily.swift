import GraphRuntime

/// Operators that move elements without computing.
enum LayoutFamily {
    static let definitions: [OperatorDefinition] = []
}
