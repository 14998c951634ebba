/// What a plan lets its operators choose their kernels by, beside the facts of their inputs.
public struct PlanContext: Sendable {
    /// Makes and keeps packed forms of constants; nil where memory is spared.
    public var constants: PackedConstants?
    /// In which numbers products may be computed.
    public var precision: Precision
    /// In which numbers constant weights are packed.
    public var weights: WeightFormat

    /// A context in which constants can be packed, where `constants` isn't nil, products computed in `precision` and weights kept as `weights`.
    public init(constants: PackedConstants? = nil, precision: Precision = .single, weights: WeightFormat = .stored) {
        self.constants = constants
        self.weights = weights
        self.precision = precision
    }
}
