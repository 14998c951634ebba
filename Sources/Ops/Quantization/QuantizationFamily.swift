import GraphRuntime

/// Operators on quantized numbers.
enum QuantizationFamily {
    static let definitions: [OperatorDefinition] = [
        QuantizeLinear.definition, DequantizeLinear.definition, QuantizeLinear.runtimeDefinition,
        DequantizeLinear.runtimeDefinition, DynamicQuantizeLinear.definition, MatMulInteger.definition, ConvInteger.definition,
        QLinearMatMul.definition, QLinearConv.definition,
    ]
}
