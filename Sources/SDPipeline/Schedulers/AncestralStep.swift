/// How an ancestral step from one noise level to a lower one is shared between a deterministic step and new noise, so that
/// down² + up² = to² (Song et al. 2020, equation 47 in the form of k-diffusion's ancestral samplers).
struct AncestralStep {
    /// The level that the deterministic step goes down to.
    let down: Float
    /// The deviation of the noise that is added.
    let up: Float

    init(from: Float, to: Float) {
        up = (to * to * (from * from - to * to) / (from * from)).squareRoot()
        down = (to * to - up * up).squareRoot()
    }
}
