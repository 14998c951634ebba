import CKernels
import GraphRuntime

/// The numbers that the panels of a product are made of.
enum ProductPrecision {
    case single
    /// The right factor lies in memory as pairs of bfloat16, see `bfloat16.h`. Its panels are widened to single precision in the cache,
    /// which takes half the reading, and then are multiplied as others.
    case bfloat16Weights
    /// Both factors are pairs of bfloat16, which the processor multiplies itself.
    case bfloat16

    /// Whether products of bfloat16 multiply pairs, see `bfloat16.h`.
    static let multipliesPairs = unsafe PackedProduct.level != 0 && ck_multiplies_pairs() != 0

    /// - Parameters:
    ///   - precision: what the plan asks for.
    ///   - isPacked: whether the right factor was packed before: only that is worth widening.
    init(_ precision: Precision, isPacked: Bool) {
        switch precision {
        case .single: self = .single
        case .bfloat16: self = Self.multipliesPairs ? .bfloat16 : isPacked ? .bfloat16Weights : .single
        }
    }

    /// Whether the right factor's panels hold pairs.
    var pairsRight: Bool { self != .single }
    /// Whether the left factor's panels do, and the kernel multiplies pairs.
    var pairsLeft: Bool { self == .bfloat16 }
    /// Numbers that one step of the kernel multiplies.
    var numbersPerStep: Int { pairsLeft ? 2 : 1 }
}
