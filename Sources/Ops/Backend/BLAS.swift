import COpenBLAS
import GraphRuntime

/// OpenBLAS, the only place that calls it, and in its place this project's own kernels where they are faster. Row-major, on the calling thread alone: kernels split their work into tiles and call
/// from each.
enum BLAS {
    /// The one switch that keeps OpenBLAS from starting threads of its own beside the session's pool.
    private static let isSingleThreaded: Void = openblas_set_num_threads(1)

    /// C = alpha · op(A) · op(B) + beta · C, with op(A) m×k, op(B) k×n and C m×n.
    static func gemm(
        transposeA: Bool, transposeB: Bool, m: Int, n: Int, k: Int, alpha: Float, a: UnsafePointer<Float>, lda: Int,
        b: UnsafePointer<Float>, ldb: Int, beta: Float, c: UnsafeMutablePointer<Float>, ldc: Int
    ) {
        if PackedProduct.isPreferred(m: m, n: n, k: k), beta == 0 || beta == 1 {
            return PackedProduct.run(
                transposeA: transposeA, transposeB: transposeB, m: m, n: n, k: k, alpha: alpha, a: a, lda: lda, b: b, ldb: ldb,
                accumulate: beta == 1, c: c, ldc: ldc)
        }
        _ = isSingleThreaded
        cblas_sgemm(
            CblasRowMajor, transposeA ? CblasTrans : CblasNoTrans, transposeB ? CblasTrans : CblasNoTrans, blasint(m),
            blasint(n),
            blasint(k), alpha, a, blasint(lda), b, blasint(ldb), beta, c, blasint(ldc))
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
    /// C = op(A) · op(B) + a number for each column.
    static func gemm(
        transposeA: Bool, transposeB: Bool, m: Int, n: Int, k: Int, a: UnsafePointer<Self>, lda: Int, b: UnsafePointer<Self>,
        ldb: Int, columnBias: UnsafePointer<Self>, c: UnsafeMutablePointer<Self>, ldc: Int)

    static func gemm(
        transposeA: Bool, transposeB: Bool, m: Int, n: Int, k: Int, alpha: Self, a: UnsafePointer<Self>, lda: Int,
        b: UnsafePointer<Self>, ldb: Int, beta: Self, c: UnsafeMutablePointer<Self>, ldc: Int)
}

extension BLASElement {
    static func gemm(
        transposeA: Bool, transposeB: Bool, m: Int, n: Int, k: Int, a: UnsafePointer<Self>, lda: Int, b: UnsafePointer<Self>,
        ldb: Int, columnBias: UnsafePointer<Self>, c: UnsafeMutablePointer<Self>, ldc: Int
    ) {
        multiplyOntoBias(
            transposeA: transposeA, transposeB: transposeB, m: m, n: n, k: k, a: a, lda: lda, b: b, ldb: ldb,
            columnBias: columnBias, c: c, ldc: ldc)
    }

    /// The product added to the bias, which is written first.
    fileprivate static func multiplyOntoBias(
        transposeA: Bool, transposeB: Bool, m: Int, n: Int, k: Int, a: UnsafePointer<Self>, lda: Int, b: UnsafePointer<Self>,
        ldb: Int, columnBias: UnsafePointer<Self>, c: UnsafeMutablePointer<Self>, ldc: Int
    ) {
        for row in 0..<m { (c + row * ldc).update(from: columnBias, count: n) }
        gemm(
            transposeA: transposeA, transposeB: transposeB, m: m, n: n, k: k, alpha: 1, a: a, lda: lda, b: b, ldb: ldb, beta: 1,
            c: c, ldc: ldc)
    }
}

extension Float: BLASElement {
    static func gemm(
        transposeA: Bool, transposeB: Bool, m: Int, n: Int, k: Int, a: UnsafePointer<Float>, lda: Int, b: UnsafePointer<Float>,
        ldb: Int, columnBias: UnsafePointer<Float>, c: UnsafeMutablePointer<Float>, ldc: Int
    ) {
        if PackedProduct.isPreferred(m: m, n: n, k: k) {
            return PackedProduct.run(
                transposeA: transposeA, transposeB: transposeB, m: m, n: n, k: k, alpha: 1, a: a, lda: lda, b: b, ldb: ldb,
                accumulate: false, columnBias: columnBias, c: c, ldc: ldc)
        }
        multiplyOntoBias(
            transposeA: transposeA, transposeB: transposeB, m: m, n: n, k: k, a: a, lda: lda, b: b, ldb: ldb,
            columnBias: columnBias, c: c, ldc: ldc)
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
