/// Where numbers of the 16-bit float types, float16 and bfloat16, are rounded.
public enum HalfRounding: String, Sendable, CaseIterable {
    /// Between nodes they are float32, and rounded where the graph hands them out, where a graph of control flow takes and returns them,
    /// and between a Cast of the file to 16 bits and one from there: as ONNX Runtime computes on a CPU, for which half-precision models
    /// are exported.
    case outputs
    /// After every node, as ONNX's specification has it: what leaves the range on its way is infinite from there on.
    case nodes
}
