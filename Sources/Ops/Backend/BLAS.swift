import CKernels
import COpenBLAS
import GraphRuntime

/// OpenBLAS, the only place that calls it, and in its place this project's own kernels where they are faster. Row-major, on the
/// calling thread alone: kernels split their work into tiles and call from each.
enum BLAS {
    /// The one switch that keeps OpenBLAS from starting threads of its own beside the session's pool.
    private static let isSingleThreaded: Void = openblas_set_num_threads(1)

    /// C = alpha · op(A) · op(B) + beta · C, with op(A) m×k, op(B) k×n and C m×n.
    static func gemm(
        transposeA: Bool, transposeB: Bool, m: Int, n: Int, k: Int, alpha: Float, a: UnsafePointer<Float>, lda: Int,
        b: UnsafePointer<Float>, ldb: Int, beta: Float, c: UnsafeMutablePointer<Float>, ldc: Int
    ) {
        var kernel = ProductKernel(transposeA: transposeA, transposeB: transposeB, m: m, n: n, k: k, beta: beta)
        if kernel == .packed {
            if PackedProduct.run(
                transposeA: transposeA, m: m, n: n, k: k, alpha: alpha, a: a, lda: lda,
                b: .matrix(b, step: ldb, isTransposed: transposeB), start: beta == 1 ? .target : .zero, c: c, ldc: ldc)
            {
                return
            }
            kernel = ProductKernel(transposeA: transposeA, transposeB: transposeB, m: m, n: n, k: k, canPack: false)
        }
        if kernel == .dotProducts {
            return dotProducts(m: m, n: n, k: k, alpha: alpha, a: a, lda: lda, b: b, ldb: ldb, beta: beta, c: c, ldc: ldc)
        }
        _ = isSingleThreaded
        cblas_sgemm(
            CblasRowMajor, transposeA ? CblasTrans : CblasNoTrans, transposeB ? CblasTrans : CblasNoTrans, blasint(m),
            blasint(n),
            blasint(k), alpha, a, blasint(lda), b, blasint(ldb), beta, c, blasint(ldc))
    }

    /// A few rows times the rows of B, which are read from memory once: C = alpha · A · Bᵀ + beta · C.
    private static func dotProducts(
        m: Int, n: Int, k: Int, alpha: Float, a: UnsafePointer<Float>, lda: Int, b: UnsafePointer<Float>, ldb: Int, beta: Float,
        c: UnsafeMutablePointer<Float>, ldc: Int
    ) {
        let block = 16
        withUnsafeTemporaryAllocation(of: Float.self, capacity: block) { dots in
            guard let sums = dots.baseAddress else { return }
            for first in stride(from: 0, to: n, by: block) {
                let count = min(block, n - first)
                for row in 0..<m {
                    ck_dot_rows(a + row * lda, k, b + first * ldb, ldb, count, sums)
                    let target = c + row * ldc + first
                    for index in 0..<count {
                        target[index] = alpha * sums[index] + (beta == 0 ? 0 : beta * target[index])
                    }
                }
            }
        }
    }

    /// As the single-precision one.
    static func gemm(
        transposeA: Bool, transposeB: Bool, m: Int, n: Int, k: Int, alpha: Double, a: UnsafePointer<Double>, lda: Int,
        b: UnsafePointer<Double>, ldb: Int, beta: Double, c: UnsafeMutablePointer<Double>, ldc: Int
    ) {
        _ = isSingleThreaded
        cblas_dgemm(
            CblasRowMajor, transposeA ? CblasTrans : CblasNoTrans, transposeB ? CblasTrans : CblasNoTrans, blasint(m),
            blasint(n),
            blasint(k), alpha, a, blasint(lda), b, blasint(ldb), beta, c, blasint(ldc))
    }
}

/// The element types that BLAS multiplies.
protocol BLASElement: TensorElement, BinaryFloatingPoint {
    /// C = A · op(B) + a number for each row; nil for none.
    static func gemm(
        transposeB: Bool, m: Int, n: Int, k: Int, a: UnsafePointer<Self>, lda: Int, b: UnsafePointer<Self>, ldb: Int,
        rowBias: UnsafePointer<Self>?, c: UnsafeMutablePointer<Self>, ldc: Int)

    /// C = op(A) · op(B) + a number for each column + a matrix that lies as C does; nil for none.
    static func gemm(
        transposeA: Bool, transposeB: Bool, m: Int, n: Int, k: Int, a: UnsafePointer<Self>, lda: Int, b: UnsafePointer<Self>,
        ldb: Int, columnBias: UnsafePointer<Self>?, addend: UnsafePointer<Self>?, c: UnsafeMutablePointer<Self>, ldc: Int)

    static func gemm(
        transposeA: Bool, transposeB: Bool, m: Int, n: Int, k: Int, alpha: Self, a: UnsafePointer<Self>, lda: Int,
        b: UnsafePointer<Self>, ldb: Int, beta: Self, c: UnsafeMutablePointer<Self>, ldc: Int)
}

extension BLASElement {
    static func gemm(
        transposeB: Bool, m: Int, n: Int, k: Int, a: UnsafePointer<Self>, lda: Int, b: UnsafePointer<Self>, ldb: Int,
        rowBias: UnsafePointer<Self>?, c: UnsafeMutablePointer<Self>, ldc: Int
    ) {
        multiplyOntoBias(
            transposeB: transposeB, m: m, n: n, k: k, a: a, lda: lda, b: b, ldb: ldb, rowBias: rowBias, c: c, ldc: ldc)
    }

    /// The product added to the bias, which is written first.
    fileprivate static func multiplyOntoBias(
        transposeB: Bool, m: Int, n: Int, k: Int, a: UnsafePointer<Self>, lda: Int, b: UnsafePointer<Self>, ldb: Int,
        rowBias: UnsafePointer<Self>?, c: UnsafeMutablePointer<Self>, ldc: Int
    ) {
        if let rowBias {
            for row in 0..<m { (c + row * ldc).update(repeating: rowBias[row], count: n) }
        }
        gemm(
            transposeA: false, transposeB: transposeB, m: m, n: n, k: k, alpha: 1, a: a, lda: lda, b: b, ldb: ldb,
            beta: rowBias == nil ? 0 : 1, c: c, ldc: ldc)
    }

    static func gemm(
        transposeA: Bool, transposeB: Bool, m: Int, n: Int, k: Int, a: UnsafePointer<Self>, lda: Int, b: UnsafePointer<Self>,
        ldb: Int, columnBias: UnsafePointer<Self>?, addend: UnsafePointer<Self>?, c: UnsafeMutablePointer<Self>, ldc: Int
    ) {
        multiplyOntoBias(
            transposeA: transposeA, transposeB: transposeB, m: m, n: n, k: k, a: a, lda: lda, b: b, ldb: ldb,
            columnBias: columnBias, addend: addend, c: c, ldc: ldc)
    }

    /// The product added to the bias, which is written first.
    fileprivate static func multiplyOntoBias(
        transposeA: Bool, transposeB: Bool, m: Int, n: Int, k: Int, a: UnsafePointer<Self>, lda: Int, b: UnsafePointer<Self>,
        ldb: Int, columnBias: UnsafePointer<Self>?, addend: UnsafePointer<Self>?, c: UnsafeMutablePointer<Self>, ldc: Int
    ) {
        for row in 0..<m {
            let target = c + row * ldc
            guard let first = addend.map({ $0 + row * ldc }) ?? columnBias else { continue }
            target.update(from: first, count: n)
            if addend != nil, let columnBias {
                for column in 0..<n { target[column] += columnBias[column] }
            }
        }
        gemm(
            transposeA: transposeA, transposeB: transposeB, m: m, n: n, k: k, alpha: 1, a: a, lda: lda, b: b, ldb: ldb,
            beta: columnBias == nil && addend == nil ? 0 : 1, c: c, ldc: ldc)
    }
}

extension Float: BLASElement {
    static func gemm(
        transposeB: Bool, m: Int, n: Int, k: Int, a: UnsafePointer<Float>, lda: Int, b: UnsafePointer<Float>, ldb: Int,
        rowBias: UnsafePointer<Float>?, c: UnsafeMutablePointer<Float>, ldc: Int
    ) {
        if ProductKernel(transposeB: transposeB, m: m, n: n, k: k) == .packed,
            PackedProduct.run(
                transposeA: false, m: m, n: n, k: k, alpha: 1, a: a, lda: lda,
                b: .matrix(b, step: ldb, isTransposed: transposeB),
                start: rowBias.map { .rows($0) } ?? .zero, c: c, ldc: ldc)
        {
            return
        }
        multiplyOntoBias(
            transposeB: transposeB, m: m, n: n, k: k, a: a, lda: lda, b: b, ldb: ldb, rowBias: rowBias, c: c, ldc: ldc)
    }

    static func gemm(
        transposeA: Bool, transposeB: Bool, m: Int, n: Int, k: Int, a: UnsafePointer<Float>, lda: Int, b: UnsafePointer<Float>,
        ldb: Int, columnBias: UnsafePointer<Float>?, addend: UnsafePointer<Float>?, c: UnsafeMutablePointer<Float>, ldc: Int
    ) {
        let start: PackedProduct.Start =
            addend.map { .matrix($0, columns: columnBias) } ?? columnBias.map { .columns($0) } ?? .zero
        if ProductKernel(transposeA: transposeA, transposeB: transposeB, m: m, n: n, k: k) == .packed,
            PackedProduct.run(
                transposeA: transposeA, m: m, n: n, k: k, alpha: 1, a: a, lda: lda,
                b: .matrix(b, step: ldb, isTransposed: transposeB), start: start, c: c, ldc: ldc)
        {
            return
        }
        multiplyOntoBias(
            transposeA: transposeA, transposeB: transposeB, m: m, n: n, k: k, a: a, lda: lda, b: b, ldb: ldb,
            columnBias: columnBias, addend: addend, c: c, ldc: ldc)
    }

    static func gemm(
        transposeA: Bool, transposeB: Bool, m: Int, n: Int, k: Int, alpha: Float, a: UnsafePointer<Float>, lda: Int,
        b: UnsafePointer<Float>, ldb: Int, beta: Float, c: UnsafeMutablePointer<Float>, ldc: Int
    ) {
        BLAS.gemm(
            transposeA: transposeA, transposeB: transposeB, m: m, n: n, k: k, alpha: alpha, a: a, lda: lda, b: b, ldb: ldb,
            beta: beta, c: c, ldc: ldc)
    }
}

extension Double: BLASElement {
    static func gemm(
        transposeA: Bool, transposeB: Bool, m: Int, n: Int, k: Int, alpha: Double, a: UnsafePointer<Double>, lda: Int,
        b: UnsafePointer<Double>, ldb: Int, beta: Double, c: UnsafeMutablePointer<Double>, ldc: Int
    ) {
        BLAS.gemm(
            transposeA: transposeA, transposeB: transposeB, m: m, n: n, k: k, alpha: alpha, a: a, lda: lda, b: b, ldb: ldb,
            beta: beta, c: c, ldc: ldc)
    }
}

/// BLAS counts in 32-bit integers; larger extents are refused before they are cut.
enum BLASLimits {
    static func check(_ extents: Int...) throws(TensorError) {
        for extent in extents where extent > Int(Int32.max) {
            throw TensorError("an extent of \(extent) is more than the matrix product takes (2^31 - 1)")
        }
    }
}
