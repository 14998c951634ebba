/// The numbers that products are computed in; sums, and all that isn't a product, are in single precision at least.
public enum Precision: String, Sendable, CaseIterable {
    /// float32, or what the model states where that is wider.
    case single = "fp32"
    /// Factors of products of float32 may be rounded to bfloat16 (8 significant bits in the place of 24), where that is faster or
    /// takes less memory: which ones is a matter of the processor.
    case bfloat16 = "bf16"
    /// Products and convolutions of float32 with constant weights may be made of bytes, where the processor has instructions for such (VNNI
    /// or AMX): rows of the left factor, and strips of pictures, are rounded to 8 bits with a scale and a zero point each when they are read,
    /// weights with a scale for each output channel. Other products are those of ``bfloat16`` where pairs of these are multiplied, else of
    /// single precision, as all are on other processors.
    case int8 = "int8"
}
