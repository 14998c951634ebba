import GraphRuntime

/// A product of row-major matrices, C = alpha · op(A) · op(B) + start, with op(A) m×k, op(B) k×n and C m×n.
@unsafe
struct GEMM<Element: BLASElement> {
    var transposeA = false
    var transposeB = false
    var m: Int
    var n: Int
    var k: Int
    var alpha: Element = 1
    var a: UnsafePointer<Element>
    /// From one row of A to the next.
    var lda: Int
    var b: UnsafePointer<Element>
    var ldb: Int
    var start = unsafe ProductStart<Element>.zero
    var c: UnsafeMutablePointer<Element>
    var ldc: Int
    /// In which numbers a product of float32 is computed.
    var precision = Precision.single

    /// Computes it on the calling thread.
    func run() { unsafe Element.run(self) }

    /// Writes what the product is added to into C.
    ///
    /// - Returns: what C is multiplied with before the product is added, for a BLAS.
    func writeStart() -> Element {
        switch unsafe start {
        case .zero: return 0
        case .target: return 1
        case .columns(let values): for row in unsafe 0..<m { unsafe (c + row * ldc).update(from: values, count: n) }
        case .rows(let values): for row in unsafe 0..<m { unsafe (c + row * ldc).update(repeating: values[row], count: n) }
        case .matrix(let values, let offsets):
            for row in unsafe 0..<m {
                let target = unsafe c + row * ldc
                unsafe target.update(from: values + row * ldc, count: n)
                guard let offsets = unsafe offsets else { continue }
                for column in unsafe 0..<n { unsafe target[column] += offsets[column] }
            }
        }
        return 1
    }

    /// Computes it without a BLAS, where there is no memory for one: row by row, in the order of B's memory where B isn't transposed.
    ///
    /// - Parameter beta: what ``writeStart()`` has returned.
    func runAsLoops(beta: Element) {
        let (rowOfA, columnOfA) = unsafe transposeA ? (1, lda) : (lda, 1)
        for row in unsafe 0..<m {
            let (left, target) = unsafe (a + row * rowOfA, c + row * ldc)
            if beta == 0 { unsafe target.update(repeating: 0, count: n) }
            if unsafe transposeB {
                for column in unsafe 0..<n {
                    let right = unsafe b + column * ldb
                    var sum: Element = 0
                    for index in unsafe 0..<k { unsafe sum += left[index * columnOfA] * right[index] }
                    unsafe target[column] += alpha * sum
                }
            } else {
                for index in unsafe 0..<k {
                    let (factor, right) = unsafe (alpha * left[index * columnOfA], b + index * ldb)
                    for column in unsafe 0..<n { unsafe target[column] += factor * right[column] }
                }
            }
        }
    }
}
