/// The numbers that products are computed in; sums, and all that isn't a product, are in single precision at least.
public enum Precision: String, Sendable, CaseIterable {
    /// float32, or what the model states where that is wider.
    case single = "fp32"
    /// Factors of products of float32 may be rounded to bfloat16 (8 significant bits in the place of 24), where that is faster or
    /// takes less memory: which ones is a matter of the processor.
    case bfloat16 = "bf16"
}
