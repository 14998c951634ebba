import GraphRuntime

/// Operators on quantized numbers.
enum QuantizationFamily {
    static let definitions: [OperatorDefinition] =
        QuantizeLinear.definitions + [
            DequantizeLinear.definition, QuantizeLinear.runtimeDefinition,
            DequantizeLinear.runtimeDefinition, DynamicQuantizeLinear.definition, IntegerMatMul.definition,
            ConvInteger.definition,
            QLinearMatMul.definition, QLinearConv.definition, QLinearConv.runtimeDefinition,
        ]
}
