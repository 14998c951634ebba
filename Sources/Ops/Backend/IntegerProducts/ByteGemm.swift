import GraphRuntime

/// One product of matrices of int8 or uint8 without their zero points, with numbers of int32 added to the sums.
struct ByteGemm {
    /// What becomes of the sums: times `scales`.
    enum Form {
        case float32
        case bytes(ByteRange)
    }

    /// Of B.
    let layout: BytePanels
    let leftZero: [Int32]
    let rightZeros: [Int32]
    /// One for all columns, or one for each.
    let scales: [Float]
    /// int32, one for each column; nil for 0.
    let addend: Tensor?
    let form: Form
    /// What bytes of the result become, by their bits; empty where they stay.
    var table: [UInt8] = []

    /// - Parameter packed: B as ``layout`` packs it.
    /// - Throws: ``TensorError`` where types or shapes don't fit, or there is no memory.
    func run(_ a: Tensor, _ right: DType, _ packed: Tensor, into output: MutableTensor, threads: ThreadPool) throws(TensorError)
    {
        guard a.dtype == .int8 || a.dtype == .uint8 else { throw TensorError("expected int8 or uint8, found \(a.dtype)") }
        let (n, k) = (layout.columns, layout.depth)
        let m = a.shape.rank == 2 ? a.shape[0] : 0
        let offsets = try addend?.array(of: Int32.self) ?? []
        let matrix = unsafe try layout.matrix(0, of: packed)
        let shift = BytePanels.shift(right)
        guard a.count == m * k, output.count == m * n, leftZero.count == 1, [1, n].contains(rightZeros.count),
            [1, n].contains(scales.count), [0, n].contains(offsets.count)
        else { throw TensorError("scales, zero points or addends don't fit a product of \(m)×\(k) and \(k)×\(n)") }
        let result: ByteProduct.Result
        switch form {
        case .float32: unsafe result = unsafe .floats(try output.pointer(to: Float.self), step: n, bias: nil, addend: nil)
        case .bytes(let range):
            unsafe result = unsafe .bytes(output.start.assumingMemoryBound(to: UInt8.self), step: n, range)
        }
        unsafe try ByteProduct(
            m: m, n: n, k: k, leftIsSigned: a.dtype == .int8,
            left: .matrix(a.start.assumingMemoryBound(to: UInt8.self), step: k), panels: matrix.panels,
            columnSums: matrix.sums, leftZeros: leftZero, rightZeros: rightZeros.map { $0 &+ shift }, offsets: offsets,
            scales: scales.count == n ? scales : Array(repeating: scales[0], count: n), table: table,
            result: result
        ).run(threads: threads)
    }
}
