import GraphRuntime

/// Operators of com.microsoft that ONNX Runtime's and Olive's optimisers write (ONNX Runtime's ContribOperators.md), as far as they stand
/// for others or belong to no other family.
enum ContributedFamily {
    static let domain = "com.microsoft"

    static let definitions: [OperatorDefinition] = [
        MultiHeadAttention.definition, OffsetRotaryEmbedding.definition, Inverse.definition, CropAndResize.definition,
        BlockQuantizedMatMul.definition, GatherBlockQuantized.definition, GroupQueryAttention.definition,
        PairwiseDistances.definition,
    ]

    static let expansions: [OperatorExpansion] =
        FusedActivations.expansions + BiasExpansions.expansions + ChannelsLast.expansions + PackedAttentionExpansions.expansions
        + EmbeddingExpansions.expansions + NormalizationExpansions.expansions + QuantizedExpansions.expansions
        + IntegerProductExpansions.expansions + FourierExpansions.expansions + DequantizedExpansions.expansions
        + StandardForms.expansions

    /// What helps where a file has operators of these domains.
    static let advice = [
        "com.microsoft.nchwc":
            "they are of a layout for one processor; save the optimised model at the level \"extended\" (ORT_ENABLE_EXTENDED) or below"
    ]
}

extension OperatorExpansion {
    /// An expansion of com.microsoft, version 1.
    init(microsoft type: String, expand: @escaping @Sendable (inout NodeExpansion) throws -> Void) {
        self.init(type, domain: ContributedFamily.domain, since: 1, expand: expand)
    }
}

extension NodeExpansion {
    /// - Throws: ``TensorError`` where the input isn't given.
    func required(_ index: Int) throws(TensorError) -> ValueID {
        guard let id = input(index) else { throw TensorError("input \(index) is missing") }
        return id
    }

    mutating func integers(_ values: [Int]) throws -> ValueID { constant(try Tensor(values.map { Int64($0) })) }

    /// A number of the type that a value has.
    mutating func number(_ value: Float, like other: ValueID) throws -> ValueID {
        add("CastLike", [constant(try Tensor(scalar: value)), other])
    }

    /// The sum of what is given.
    mutating func sum(_ first: ValueID, _ others: ValueID?...) -> ValueID {
        others.compactMap { $0 }.reduce(first) { add("Add", [$0, $1]) }
    }
}
