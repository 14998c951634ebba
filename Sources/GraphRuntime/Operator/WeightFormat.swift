/// In which numbers weights are kept in memory.
public enum WeightFormat: String, Sendable, CaseIterable {
    /// As the file has them.
    case stored
    /// 8 bits, from -127 to 127, and one scale for all weights of an output channel: a quarter of float32.
    case int8
    /// 4 bits, from -8 to 7, and a scale for each block of 32 weights of an output channel: 5 bits a weight with the scales.
    case int4
}
