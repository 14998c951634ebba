import GraphRuntime

/// Every operator and fusion of this module, for a session.
public enum StandardOperators {
    /// The newest opset of ONNX's own domain whose operators keep the meaning that is implemented here.
    public static let newestOpset = 28

    /// Every operator, each version whose meaning differs on its own.
    public static let definitions: [OperatorDefinition] =
        ElementwiseFamily.definitions + ActivationFamily.definitions + ReductionFamily.definitions + ShapeFamily.definitions
        + LayoutFamily.definitions + IndexingFamily.definitions + ControlFamily.definitions + QuantizationFamily.definitions
        + MatMulFamily.definitions + ConvolutionFamily.definitions + PoolingFamily.definitions + NormalizationFamily.definitions
        + ResizeFamily.definitions + AttentionFamily.definitions + RandomFamily.definitions
        + RecurrentFamily.definitions + SignalFamily.definitions + LossFamily.definitions
        + TextFamily.definitions + PictureFamily.definitions + ContributedFamily.definitions + TraditionalMLFamily.definitions

    /// Operators that stand for others, which come into their place.
    public static let expansions: [OperatorExpansion] = RemovedOperators.expansions + ContributedFamily.expansions

    /// The operators and fusions, for ``/GraphRuntime/Session/init(graph:library:options:sharingConstantsOf:)``.
    public static let library = OperatorLibrary(
        registry: OperatorRegistry(
            definitions,
            newestOpset: [
                "": newestOpset, TraditionalMLFamily.domain: TraditionalMLFamily.newestOpset, FlexAttention.domain: 1,
            ],
            expansions: expansions, advice: ContributedFamily.advice),
        fusions: fusions)

    /// In the order in which they are tried: later ones build on what earlier ones made.
    public static let fusions: [any Fusion] = [
        ByteTableFusion(), LateDequantizationFusion(), QuantizedConvFusion(), QuantizedGemmFusion(), QuantizedMatMulFusion(),
        QuantizedSumFusion(), QuantizedMaxPoolFusion(),
        QuantizedProductFusion(), QuantizedGlobalAverageFusion(), QuantizedSoftmaxFusion(), QuantizedMovementFusion(),
        QuantizedConcatFusion(),
        DequantizedMatMulFusion(), DequantizedConvFusion(), MappedProductFusion(), WeightQuantizedMatMulFusion(),
        PadConvFusion(), ConvScaleFusion(), ParallelConvFusion(), UnseenTapsFusion(), AttentionFusion(), SiLUFusion(),
        HardSigmoidFusion(),
        HardSwishFusion(),
        MishFusion(), GELUFusion(),
        GEGLUFusion(), GroupNormalizationFusion(),
        GroupNormalizationSiLUFusion(),
        LayerNormalizationFusion(), RMSNormalizationFusion(),
        MatMulBiasFusion(), ConvBiasFusion(), MatMulResidualFusion(), GatedMatMulFusion(),
        IntegerMatMulScaleFusion(),
        ConvIntegerScaleFusion(), ConvIntegerBiasFusion(),
        QuantizedProductSumFusion<IntegerMatMul>(name: "MatMulInteger+bias", isResidual: false),
        QuantizedProductSumFusion<IntegerMatMul>(name: "MatMulInteger+residual", isResidual: true),
        QuantizedProductSumFusion<WeightQuantizedMatMul>(name: "MatMul of quantised weights+bias", isResidual: false),
        QuantizedProductSumFusion<WeightQuantizedMatMul>(name: "MatMul of quantised weights+residual", isResidual: true),
        QuantizedProductSumFusion<BlockQuantizedMatMul>(name: "MatMulNBits+bias", isResidual: false),
        QuantizedProductSumFusion<BlockQuantizedMatMul>(name: "MatMulNBits+residual", isResidual: true),
        TransposePairFusion(), ConvTransposeFusion(), TransposeConvFusion(),
        ConvResidualFusion(), ConvActivationFusion(), ConvActivationScaleFusion(), ConvIntegerActivationFusion(),
        BatchNormalizationActivationFusion(),
        ChannelsLastFusion(),
    ]
}
