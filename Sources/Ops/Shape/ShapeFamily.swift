import GraphRuntime

/// Operators about shapes and constants.
enum ShapeFamily {
    static let definitions: [OperatorDefinition] = []
}
