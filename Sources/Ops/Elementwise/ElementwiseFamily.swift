import GraphRuntime

/// Operators that compute each element of the output from one element of each input.
enum ElementwiseFamily {
    static let definitions: [OperatorDefinition] =
        [.add, .subtract, .multiply, .divide].map { BinaryArithmetic.definition($0) }
        + [
            VariadicArithmetic.definition("Sum", since: 6, .add),
            VariadicArithmetic.definition("Mean", since: 6, .add, isMean: true),
            VariadicArithmetic.definition("Min", since: 6, .minimum),
            VariadicArithmetic.definition("Max", since: 6, .maximum),
            Comparison.definition(.equal, since: 7),
            Comparison.definition(.less, since: 7),
            Comparison.definition(.greater, since: 7),
            Comparison.definition(.lessOrEqual, since: 12),
            Comparison.definition(.greaterOrEqual, since: 12),
            Pow.definition, Where.definition, PRelu.definition,
        ]
        + [.and, .or, .xor].flatMap { Logical.definitions($0) }
        + Complement.definitions + Clip.definitions + MathFunction.all.map(\.definition) + SignedMath.definitions
        + Mod.definitions + BitShift.definitions + FloatTest.definitions + Cast.definitions
}
