import Foundation

/// The quantile function of the beta distribution: x with I_x(a, b) = probability.
///
/// Bisection down to neighbouring doubles; a schedule needs it once a step, so speed doesn't matter.
func betaQuantile(_ probability: Double, _ a: Double, _ b: Double) -> Double {
    if !(probability > 0) { return 0 }
    if probability >= 1 { return 1 }
    var low = 0.0
    var high = 1.0
    while true {
        let middle = (low + high) / 2
        if middle <= low || middle >= high { return middle }
        if regularizedIncompleteBeta(middle, a, b) < probability { low = middle } else { high = middle }
    }
}

/// I_x(a, b), 0 < x < 1, by the continued fraction DLMF 8.17.22 (https://dlmf.nist.gov/8.17.E22), evaluated with the
/// modified Lentz method; on the side of the mean where it converges quickly, by I_x(a, b) = 1 − I_{1−x}(b, a).
func regularizedIncompleteBeta(_ x: Double, _ a: Double, _ b: Double) -> Double {
    if x > (a + 1) / (a + b + 2) { return 1 - regularizedIncompleteBeta(1 - x, b, a) }
    let logBeta = logGamma(a) + logGamma(b) - logGamma(a + b)
    let front = exp(a * log(x) + b * log1p(-x) - logBeta) / a
    let tiny = 1e-300
    func guarded(_ value: Double) -> Double { abs(value) < tiny ? tiny : value }
    var numerator = 1.0
    var denominator = 1 / guarded(1 - (a + b) * x / (a + 1))
    var fraction = denominator
    for m in 1...500 {
        let k = Double(m)
        let even = k * (b - k) * x / ((a + 2 * k - 1) * (a + 2 * k))
        let odd = -(a + k) * (a + b + k) * x / ((a + 2 * k) * (a + 2 * k + 1))
        var change = 1.0
        for coefficient in [even, odd] {
            denominator = 1 / guarded(1 + coefficient * denominator)
            numerator = guarded(1 + coefficient / numerator)
            change = denominator * numerator
            fraction *= change
        }
        if abs(change - 1) < 1e-16 { break }
    }
    return front * fraction
}

/// ln Γ(x) for x > 0.
private func logGamma(_ x: Double) -> Double {
    // lgamma() writes a global sign; its reentrant form isn't everywhere. Γ itself is finite for the x used here.
    log(tgamma(x))
}
