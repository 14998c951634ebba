import CKernels
import COpenBLAS
import COpenBLASControl
import GraphRuntime

/// OpenBLAS, the only place that calls it: on the calling thread alone, since kernels split their work into tiles and call from each.
enum BLAS {
    /// The one number of threads of OpenBLAS: as many as it starts when it is loaded, and as it uses afterwards, whatever else in the
    /// process has changed it.
    private static let isSingleThreaded: Void = openblas_set_num_threads(openblas_num_threads_env())

    static func run(_ product: GEMM<Float>) {
        _ = isSingleThreaded
        let beta = unsafe product.writeStart()
        let isDone = OpenBLASBuffers.whileHoldingOne {
            unsafe cblas_sgemm(
                CblasRowMajor, product.transposeA ? CblasTrans : CblasNoTrans, product.transposeB ? CblasTrans : CblasNoTrans,
                blasint(product.m), blasint(product.n), blasint(product.k), product.alpha, product.a, blasint(product.lda),
                product.b, blasint(product.ldb), beta, product.c, blasint(product.ldc))
        }
        if !isDone { unsafe product.runAsLoops(beta: beta) }
    }

    static func run(_ product: GEMM<Double>) {
        _ = isSingleThreaded
        let beta = unsafe product.writeStart()
        let isDone = OpenBLASBuffers.whileHoldingOne {
            unsafe cblas_dgemm(
                CblasRowMajor, product.transposeA ? CblasTrans : CblasNoTrans, product.transposeB ? CblasTrans : CblasNoTrans,
                blasint(product.m), blasint(product.n), blasint(product.k), product.alpha, product.a, blasint(product.lda),
                product.b, blasint(product.ldb), beta, product.c, blasint(product.ldc))
        }
        if !isDone { unsafe product.runAsLoops(beta: beta) }
    }
}

/// The element types that products are computed of.
protocol BLASElement: TensorElement, BinaryFloatingPoint {
    /// Computes a product on the calling thread, by the kernel that is best for its extents.
    static func run(_ product: GEMM<Self>)
}

extension Double: BLASElement {
    static func run(_ product: GEMM<Double>) { unsafe BLAS.run(product) }
}

extension Float: BLASElement {
    static func run(_ product: GEMM<Float>) {
        switch unsafe ProductKernel(product) {
        case .packed: if unsafe !PackedProduct(product).run() { unsafe runWithoutMemory(product) }
        case .dotProducts: unsafe dotProducts(product)
        case .weightedRows: unsafe weightedRows(product)
        case .openBLAS: unsafe BLAS.run(product)
        }
    }

    /// What is left where there is no memory to pack into.
    private static func runWithoutMemory(_ product: GEMM<Float>) {
        switch unsafe ProductKernel(product, canPack: false) {
        case .dotProducts: unsafe dotProducts(product)
        case .weightedRows: unsafe weightedRows(product)
        case .packed, .openBLAS: unsafe BLAS.run(product)
        }
    }

    /// A single row, for which the rows of B are read from memory once, in their order.
    private static func weightedRows(_ product: GEMM<Float>) {
        if unsafe product.writeStart() == 0 { unsafe product.c.update(repeating: 0, count: product.n) }
        unsafe ck_add_weighted_rows(
            product.a, product.transposeA ? product.lda : 1, product.k, product.alpha, product.b, product.ldb, product.n,
            product.c)
    }

    /// A few rows times the rows of B, which are read from memory once.
    private static func dotProducts(_ product: GEMM<Float>) {
        let block = 16
        let beta = unsafe product.writeStart()
        unsafe withUnsafeTemporaryAllocation(of: Float.self, capacity: block) { sums in
            for first in unsafe stride(from: 0, to: product.n, by: block) {
                let count = unsafe min(block, product.n - first)
                for row in unsafe 0..<product.m {
                    unsafe ck_dot_rows(
                        product.a + row * product.lda, product.k, product.b + first * product.ldb, product.ldb, count,
                        sums.baseAddress)
                    let target = unsafe product.c + row * product.ldc + first
                    for index in 0..<count {
                        unsafe target[index] = unsafe product.alpha * sums[index] + (beta == 0 ? 0 : target[index])
                    }
                }
            }
        }
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
