import GraphRuntime

/// Matrix products.
enum MatMulFamily {
    static let definitions: [OperatorDefinition] =
        MatMul.definitions + FusedMatMul.definitions + Gemm.definitions
        + EinsumDefinitions.definitions
}
