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

    /// Whether products of bfloat16 multiply pairs, see `bfloat16.h`.
    static let multipliesPairs = unsafe PackedProduct.level != 0 && ck_multiplies_pairs() != 0

    /// - Parameters:
    ///   - precision: what the plan asks for.
    ///   - isPacked: whether the right factor was packed before: only that is worth widening.
    ///   - weights: the type of the right factor, of which a packed one keeps the 16 bits.
    init(_ precision: Precision, isPacked: Bool, weights: DType = .float32) {
        switch (precision, weights) {
        case (.bfloat16, _) where Self.multipliesPairs: self = .bfloat16
        case _ where !isPacked: self = .single
        case (_, .float16): self = .float16Weights
        case (.bfloat16, _), (_, .bfloat16): self = .bfloat16Weights
        default: self = .single
        }
    }

    /// Whether two numbers of the right factor take the place of one in its panels.
    var pairsRight: Bool { self != .single }
    /// Whether the kernel takes these one by one, so that they are widened first.
    var widensRight: Bool { self == .bfloat16Weights || self == .float16Weights }
    /// Whether the left factor's panels hold pairs, and the kernel multiplies pairs.
    var pairsLeft: Bool { self == .bfloat16 }
    /// Numbers that one step of the kernel multiplies.
    var numbersPerStep: Int { pairsLeft ? 2 : 1 }
}
