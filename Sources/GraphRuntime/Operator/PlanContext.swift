/// What a plan lets its operators choose their kernels by, beside the facts of their inputs.
public struct PlanContext: Sendable {
    /// Makes and keeps packed forms of constants; nil where memory is spared.
    public var constants: PackedConstants?
    /// In which numbers products may be computed.
    public var precision: Precision

    /// A context in which constants can be packed, where `constants` isn't nil, and products computed in `precision`.
    public init(constants: PackedConstants? = nil, precision: Precision = .single) {
        self.constants = constants
        self.precision = precision
    }
}
