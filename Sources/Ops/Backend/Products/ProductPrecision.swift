import CKernels
import GraphRuntime

/// The numbers that the panels of a product are made of.
enum ProductPrecision {
    case single
    /// The right factor lies in memory as pairs of bfloat16, see `bfloat16.h`. Its panels are widened to single precision in the cache,
    /// which takes half the reading, and then are multiplied as others.
    case bfloat16Weights
    /// The same of numbers of float16: two rows of a panel take the place of one, the first half of which is the first row.
    case float16Weights
    /// Both factors are pairs of bfloat16, which the processor multiplies itself.
    case bfloat16
    /// The right factor lies in memory as whole numbers of 8 bits with a scale a column, see `quantized_weights.h`, and is widened as those
    /// of 16 bits are.
    case int8Weights
    /// The same of 4 bits, with a scale for each block of a column.
    case int4Weights
    /// Both factors are bytes, see ``DynamicProduct``.
    case int8

    /// Whether products of bfloat16 multiply pairs, see `bfloat16.h`.
    static let multipliesPairs = unsafe PackedProduct.level != 0 && ck_multiplies_pairs() != 0

    /// The numbers of a right factor [k, n] that is packed before the product.
    ///
    /// - Parameters:
    ///   - m: rows of the left factor.
    ///   - weights: the type of the right factor.
    init(m: Int, n: Int, k: Int, weights: DType, plan: PlanContext) {
        if plan.precision == .int8, plan.weights != .int4, DynamicProduct.isPreferred(m: m, n: n, k: k) {
            self = .int8
        } else {
            self.init(plan.precision, isPacked: true, weights: weights, format: plan.weights)
        }
    }

    /// - Parameters:
    ///   - precision: what the plan asks for; bytes are the other initialiser's.
    ///   - isPacked: whether the right factor was packed before: only that is worth widening.
    ///   - weights: the type of the right factor, of which a packed one keeps the 16 bits.
    ///   - format: what the plan asks for of packed factors.
    init(_ precision: Precision, isPacked: Bool, weights: DType = .float32, format: WeightFormat = .stored) {
        switch (precision.withoutBytes, weights) {
        case _ where isPacked && format == .int8: self = .int8Weights
        case _ where isPacked && format == .int4: self = .int4Weights
        case (.bfloat16, _) where Self.multipliesPairs: self = .bfloat16
        case _ where !isPacked: self = .single
        case (_, .float16): self = .float16Weights
        case (.bfloat16, _), (_, .bfloat16): self = .bfloat16Weights
        default: self = .single
        }
    }

    /// Whether two numbers of the right factor take the place of one in its panels.
    var pairsRight: Bool { self == .bfloat16Weights || self == .float16Weights || self == .bfloat16 }
    /// Whether the right factor's numbers aren't what the kernel takes, so that they are widened first.
    var widensRight: Bool { self != .single && self != .bfloat16 && self != .int8 }
    /// The bits of the right factor's numbers where these are whole ones with scales.
    var quantizedBits: Int32? {
        switch self {
        case .int8Weights: 8
        case .int4Weights: 4
        default: nil
        }
    }
    /// Whether the right factor's numbers are whole ones with scales.
    var isQuantized: Bool { self == .int8 || quantizedBits != nil }
    /// Steps of the kernel after which a widened panel may be cut.
    var groupSteps: Int {
        switch self {
        case .single, .int8: 1
        case .bfloat16: LeftPanels.ofPairs.stepMultiple
        case .bfloat16Weights, .float16Weights: 2
        case .int8Weights: 4
        case .int4Weights: Int(CK_QUANTIZED_BLOCK)
        }
    }
    /// Rows of floats whose place `depth` rows of the right factor take in its panels.
    func panelRows(depth: Int) -> Int {
        if self == .int8 { return ck_byte_panel_rows(depth) }
        if let bits = quantizedBits { return ck_quantized_rows(bits, depth) }
        return PanelLayout.rows(depth: depth, isPaired: pairsRight)
    }
    /// Whether the left factor's panels hold pairs, and the kernel multiplies pairs.
    var pairsLeft: Bool { self == .bfloat16 }
    /// Numbers that one step of the kernel multiplies.
    var numbersPerStep: Int { pairsLeft ? 2 : 1 }
}

extension Precision {
    /// The precision of what isn't a product of bytes.
    var withoutBytes: Precision {
        guard self == .int8 else { return self }
        return DynamicProduct.isFast && ProductPrecision.multipliesPairs ? .bfloat16 : .single
    }
}
