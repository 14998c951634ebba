import GraphRuntime

/// The equations of one step of RNN, GRU or LSTM.
protocol RecurrentCell: Sendable {
    /// How many gates the weights hold.
    static var gates: Int { get }
    /// How many of them take their part of the previous state as it is, first ones first.
    var recurrentGates: Int { get }
    /// Brings the state of one sequence to the next step.
    func advance<Element: BLASElement & NumericElement>(_ row: RecurrentRow<Element>, _ functions: [RecurrentFunction])
}

/// One sequence at one step. Vectors of all gates have gates · size elements, one gate behind the other.
@unsafe
struct RecurrentRow<Element: BLASElement & NumericElement> {
    let size: Int
    /// The input's product with W.
    let input: UnsafePointer<Element>
    /// The previous hidden state's product with R.
    let recurrent: UnsafePointer<Element>
    /// The biases of W and, behind them, those of R.
    let bias: UnsafePointer<Element>
    /// R, [gates · size, size].
    let weights: UnsafePointer<Element>
    /// The peepholes of LSTM, [3 · size]; of nothing else.
    let peepholes: UnsafePointer<Element>
    let hidden: UnsafeMutablePointer<Element>
    /// The cell state of LSTM.
    let cell: UnsafeMutablePointer<Element>
    /// 2 · size elements for what comes between.
    let scratch: UnsafeMutablePointer<Element>
    let clip: Double

    /// A function of a number that is clipped first.
    @inline(__always)
    func apply(_ function: RecurrentFunction, _ value: Element) -> Element {
        unsafe .converting(function(min(max(value.double, -clip), clip)))
    }
}

/// RNN (Elman): Ht = f(Xt Wᵀ + Ht-1 Rᵀ + Wb + Rb).
struct RNNCell: RecurrentCell {
    static let gates = 1
    let recurrentGates = 1

    func advance<Element: BLASElement & NumericElement>(_ row: RecurrentRow<Element>, _ functions: [RecurrentFunction]) {
        let (n, f) = unsafe (row.size, functions[0])
        for j in 0..<n {
            unsafe row.hidden[j] = unsafe row.apply(f, row.input[j] + row.recurrent[j] + row.bias[j] + row.bias[n + j])
        }
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
    var recurrentGates: Int { resetsLate ? 3 : 2 }

    func advance<Element: BLASElement & NumericElement>(_ row: RecurrentRow<Element>, _ functions: [RecurrentFunction]) {
        let (n, f, g) = unsafe (row.size, functions[0], functions[1])
        // The reset gate, then the part of the state that passes it.
        let passed = unsafe row.scratch
        let product = unsafe row.scratch + n
        for j in n..<2 * n {
            let r = unsafe row.apply(f, row.input[j] + row.recurrent[j] + row.bias[j] + row.bias[3 * n + j])
            unsafe passed[j - n] = unsafe resetsLate ? r * (row.recurrent[n + j] + row.bias[4 * n + j]) : r * row.hidden[j - n]
        }
        if !resetsLate {
            unsafe GEMM(
                transposeB: true, m: 1, n: n, k: n, a: passed, lda: n,
                b: row.weights + 2 * n * n, ldb: n, c: product, ldc: n
            ).run()
            for j in 0..<n { unsafe passed[j] = unsafe product[j] + row.bias[5 * n + j] }
        }
        for j in 0..<n {
            let z = unsafe row.apply(f, row.input[j] + row.recurrent[j] + row.bias[j] + row.bias[3 * n + j])
            let h = unsafe row.apply(g, row.input[2 * n + j] + passed[j] + row.bias[2 * n + j])
            unsafe row.hidden[j] = unsafe (1 - z) * h + z * row.hidden[j]
        }
    }
}

/// LSTM, gates in the order i o f c, peepholes in the order i o f:
/// i = f(Xt Wiᵀ + Ht-1 Riᵀ + Pi ⊙ Ct-1 + Wbi + Rbi), f likewise, c = g(Xt Wcᵀ + Ht-1 Rcᵀ + Wbc + Rbc),
/// Ct = f ⊙ Ct-1 + i ⊙ c, o = f(Xt Woᵀ + Ht-1 Roᵀ + Po ⊙ Ct + Wbo + Rbo), Ht = o ⊙ h(Ct).
struct LSTMCell: RecurrentCell {
    static let gates = 4
    let recurrentGates = 4
    /// The attribute `input_forget`: the forget gate is 1 - the input gate.
    let couplesGates: Bool

    func advance<Element: BLASElement & NumericElement>(_ row: RecurrentRow<Element>, _ functions: [RecurrentFunction]) {
        let n = unsafe row.size
        let (f, g, h) = (functions[0], functions[1], functions[2])
        func sum(_ place: Int) -> Element {
            unsafe row.input[place] + row.recurrent[place] + row.bias[place] + row.bias[4 * n + place]
        }
        for j in 0..<n {
            let previous = unsafe row.cell[j]
            let input = unsafe row.apply(f, sum(j) + row.peepholes[j] * previous)
            let forget = unsafe couplesGates ? 1 - input : row.apply(f, sum(2 * n + j) + row.peepholes[2 * n + j] * previous)
            let cell = unsafe forget * previous + input * row.apply(g, sum(3 * n + j))
            let output = unsafe row.apply(f, sum(n + j) + row.peepholes[n + j] * cell)
            unsafe row.cell[j] = cell
            unsafe row.hidden[j] = output * row.apply(h, cell)
        }
    }
}
