import GraphRuntime

/// Operators about shapes and constants.
enum ShapeFamily {
    static let definitions: [OperatorDefinition] =
        [
            ShapeOf.definition, SizeOf.definition, Constant.definition, ConstantOfShape.definition,
            Identity.definition, Expand.definition, EyeLike.definition,
        ] + RangeOperator.definitions
}
