import GraphRuntime

/// The equations of one step of RNN, GRU or LSTM.
protocol RecurrentCell: Sendable {
    /// How many gates the weights hold.
    static var gates: Int { get }
    /// The gates whose products with R are computed together, one or two stages of neighbouring ones: the first with the previous hidden
    /// state, the second with what ``advance(_:_:stage:)`` of the first has put into ``RecurrentRow/passed``.
    var stages: [Range<Int>] { get }
    /// Whether a gate's bias of R is added to its input, and not by the cell.
    func addsRecurrentBias(gate: Int) -> Bool
    /// Goes on with one sequence after the products of a stage; after the last one its state is that of the next step.
    func advance<Element: RecurrentElement>(_ row: RecurrentRow<Element>, _ functions: [RecurrentFunction], stage: Int)
}

/// One sequence at one step. Vectors of several gates hold one gate behind the other.
@unsafe
struct RecurrentRow<Element: RecurrentElement> {
    let size: Int
    /// The input's product with W, and what of the biases is added to it, [gates · size].
    let input: UnsafePointer<Element>
    /// The products with R of the first stage's gates, which the cell may overwrite.
    let products: UnsafeMutablePointer<Element>
    /// Those of the second stage's gates.
    let laterProducts: UnsafeMutablePointer<Element>
    /// The biases of R, [gates · size]; nil for zeros.
    let bias: UnsafePointer<Element>?
    /// The peepholes of LSTM, [3 · size]; nil for zeros.
    let peepholes: UnsafePointer<Element>?
    let hidden: UnsafeMutablePointer<Element>
    /// The cell state of LSTM.
    let cell: UnsafeMutablePointer<Element>
    /// [size].
    let passed: UnsafeMutablePointer<Element>
    let clip: Double

    /// Replaces numbers by a function of them, which are clipped first.
    @inline(__always)
    func apply(_ function: RecurrentFunction, _ values: UnsafeMutablePointer<Element>, count: Int) {
        if unsafe clip.isFinite { unsafe Element.clip(values, count: count, to: clip) }
        unsafe Element.apply(function, values, count: count)
    }
}

/// y += x. The caller may be generic: without a form for floats every sum would look up its type.
@specialized(where Element == Float)
func add<Element: RecurrentElement>(_ x: UnsafePointer<Element>, to y: UnsafeMutablePointer<Element>, count: Int) {
    for j in 0..<count { unsafe y[j] += x[j] }
}

/// y += a ⊙ b.
@inline(__always)
private func addProduct<Element: RecurrentElement>(
    _ a: UnsafePointer<Element>, _ b: UnsafePointer<Element>, to y: UnsafeMutablePointer<Element>, count: Int
) {
    for j in 0..<count { unsafe y[j] += a[j] * b[j] }
}

/// RNN (Elman): Ht = f(Xt Wᵀ + Ht-1 Rᵀ + Wb + Rb).
struct RNNCell: RecurrentCell {
    static let gates = 1
    var stages: [Range<Int>] { [0..<1] }
    func addsRecurrentBias(gate: Int) -> Bool { true }

    @specialized(where Element == Float)
    func advance<Element: RecurrentElement>(_ row: RecurrentRow<Element>, _ functions: [RecurrentFunction], stage: Int) {
        let n = unsafe row.size
        unsafe row.hidden.update(from: row.products, count: n)
        unsafe add(row.input, to: row.hidden, count: n)
        unsafe row.apply(functions[0], row.hidden, count: n)
    }
}

/// GRU, gates in the order z r h:
/// z = f(Xt Wzᵀ + Ht-1 Rzᵀ + Wbz + Rbz), r likewise,
/// h = g(Xt Whᵀ + (r ⊙ Ht-1) Rhᵀ + Rbh + Wbh), or g(Xt Whᵀ + r ⊙ (Ht-1 Rhᵀ + Rbh) + Wbh) where the reset comes later,
/// Ht = (1 - z) ⊙ h + z ⊙ Ht-1.
struct GRUCell: RecurrentCell {
    static let gates = 3
    /// The attribute `linear_before_reset`.
    let resetsLate: Bool
    var stages: [Range<Int>] { resetsLate ? [0..<3] : [0..<2, 2..<3] }
    func addsRecurrentBias(gate: Int) -> Bool { gate < 2 || !resetsLate }

    @specialized(where Element == Float)
    func advance<Element: RecurrentElement>(_ row: RecurrentRow<Element>, _ functions: [RecurrentFunction], stage: Int) {
        let n = unsafe row.size
        let z = unsafe row.products
        let h = unsafe resetsLate ? row.products + 2 * n : row.laterProducts
        if stage == 0 {
            let r = unsafe z + n
            unsafe add(row.input, to: z, count: 2 * n)
            unsafe row.apply(functions[0], z, count: 2 * n)
            guard resetsLate else {
                for j in 0..<n { unsafe row.passed[j] = unsafe r[j] * row.hidden[j] }
                return
            }
            if let bias = unsafe row.bias { unsafe add(bias + 2 * n, to: h, count: n) }
            for j in 0..<n { unsafe h[j] *= r[j] }
        }
        unsafe add(row.input + 2 * n, to: h, count: n)
        unsafe row.apply(functions[1], h, count: n)
        for j in 0..<n { unsafe row.hidden[j] = unsafe (1 - z[j]) * h[j] + z[j] * row.hidden[j] }
    }
}

/// LSTM, gates in the order i o f c, peepholes in the order i o f:
/// i = f(Xt Wiᵀ + Ht-1 Riᵀ + Pi ⊙ Ct-1 + Wbi + Rbi), f likewise, c = g(Xt Wcᵀ + Ht-1 Rcᵀ + Wbc + Rbc),
/// Ct = f ⊙ Ct-1 + i ⊙ c, o = f(Xt Woᵀ + Ht-1 Roᵀ + Po ⊙ Ct + Wbo + Rbo), Ht = o ⊙ h(Ct).
struct LSTMCell: RecurrentCell {
    static let gates = 4
    /// The attribute `input_forget`: the forget gate is 1 - the input gate.
    let couplesGates: Bool
    var stages: [Range<Int>] { [0..<4] }
    func addsRecurrentBias(gate: Int) -> Bool { true }

    @specialized(where Element == Float)
    func advance<Element: RecurrentElement>(_ row: RecurrentRow<Element>, _ functions: [RecurrentFunction], stage: Int) {
        let n = unsafe row.size
        let (i, o) = unsafe (row.products, row.products + n)
        let (f, c) = unsafe (row.products + 2 * n, row.products + 3 * n)
        unsafe add(row.input, to: row.products, count: 4 * n)
        if let peepholes = unsafe row.peepholes {
            unsafe addProduct(peepholes, row.cell, to: i, count: n)
            if !couplesGates { unsafe addProduct(peepholes + 2 * n, row.cell, to: f, count: n) }
        }
        unsafe row.apply(functions[0], i, count: n)
        if couplesGates {
            for j in 0..<n { unsafe f[j] = unsafe 1 - i[j] }
        } else {
            unsafe row.apply(functions[0], f, count: n)
        }
        unsafe row.apply(functions[1], c, count: n)
        for j in 0..<n {
            let cell = unsafe f[j] * row.cell[j] + i[j] * c[j]
            unsafe row.cell[j] = cell
            unsafe row.hidden[j] = cell
        }
        if let peepholes = unsafe row.peepholes { unsafe addProduct(peepholes + n, row.cell, to: o, count: n) }
        unsafe row.apply(functions[0], o, count: n)
        unsafe row.apply(functions[2], row.hidden, count: n)
        for j in 0..<n { unsafe row.hidden[j] *= o[j] }
    }
}
