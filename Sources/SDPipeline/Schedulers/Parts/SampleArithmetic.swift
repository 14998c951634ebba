/// Applies an operation to the elements of two arrays of one size.
@inline(__always)
func combine(_ first: [Float], _ second: [Float], _ operation: (Float, Float) -> Float) -> [Float] {
    (0..<min(first.count, second.count)).map { operation(first[$0], second[$0]) }
}

/// The sum of weighted arrays of one size, added in their order and each rounded, as torch evaluates such an expression.
func weightedSum(_ terms: (weight: Float, values: [Float])...) -> [Float] { weightedSum(terms) }

func weightedSum(_ terms: [(weight: Float, values: [Float])]) -> [Float] {
    guard let first = terms.first else { return [] }
    return terms.dropFirst().reduce(first.values.map { first.weight * $0 }) { sum, term in
        let weight = term.weight
        return combine(sum, term.values) { $0 + weight * $1 }
    }
}

/// Single-precision `min(max(value, low), high)`; not-a-number stays what it is, as with `torch.clamp`.
@inline(__always)
func clamped(_ value: Float, _ low: Float, _ high: Float) -> Float {
    if value.isNaN { return value }
    return min(max(value, low), high)
}
