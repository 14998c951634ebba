import GraphRuntime

/// How a product of matrices of float32 is computed on one thread: the one place where that is chosen, for runs and for profiles.
enum ProductKernel: Equatable {
    /// This project's own kernels on packed panels, ``PackedProduct``.
    case packed
    /// A few rows times the rows of B.
    case dotProducts
    /// The rows of B with the numbers of a single row as weights.
    case weightedRows
    case openBLAS

    /// A left factor of fewer rows is little more than a vector: what takes the time is to read the right one.
    static let leastRows = 4

    /// - Parameters:
    ///   - m: rows of C.
    ///   - n: columns of C.
    ///   - k: the extent that is summed over.
    ///   - canPack: false where there is no memory to pack into.
    init(transposeA: Bool = false, transposeB: Bool = false, m: Int, n: Int, k: Int, canPack: Bool = true) {
        if canPack, unsafe PackedProduct.isPreferred(m: m, n: n, k: k) {
            self = .packed
        } else if !transposeA, transposeB, m < Self.leastRows {
            self = .dotProducts
        } else if !transposeB, m == 1, n >= 8 {
            // Of fewer columns, OpenBLAS adds several parts of long sums up, which is more exact.
            self = .weightedRows
        } else {
            self = .openBLAS
        }
    }

    init(_ product: GEMM<Float>, canPack: Bool = true) {
        unsafe self.init(
            transposeA: product.transposeA, transposeB: product.transposeB, m: product.m, n: product.n, k: product.k,
            canPack: canPack)
    }

    /// What profiles call it.
    var name: String {
        switch self {
        case .packed: "packed GEMM"
        case .dotProducts: "dot products"
        case .weightedRows: "weighted rows"
        case .openBLAS: "OpenBLAS"
        }
    }

    /// What profiles call a convolution's product.
    static func gemmName(_ precision: Precision, m: Int, n: Int, k: Int) -> String {
        isRounded(precision) && ProductKernel(m: m, n: n, k: k) == .packed ? "bf16 GEMM" : "GEMM"
    }

    /// What profiles call products with a right factor that was packed once, ``PanelProduct``.
    static func prePackedName(_ precision: ProductPrecision) -> String {
        switch precision {
        case .single: "pre-packed GEMM"
        case .bfloat16Weights: "pre-packed GEMM, bf16 weights"
        case .float16Weights: "pre-packed GEMM, fp16 weights"
        case .bfloat16: "pre-packed bf16 GEMM"
        case .int8: "pre-packed int8 GEMM"
        case .int8Weights: "pre-packed GEMM, int8 weights"
        case .int4Weights: "pre-packed GEMM, int4 weights"
        }
    }

    /// Whether factors that weren't packed before are rounded.
    private static func isRounded(_ precision: Precision) -> Bool { ProductPrecision(precision, isPacked: false) != .single }

    /// What profiles call products of a type, the first of which ``MatrixProduct`` cuts into tiles: tiles are no smaller than what
    /// decides on the kernel.
    static func name(
        _ dtype: DType?, _ precision: Precision = .single, batch: Int = 1, transposeA: Bool = false, transposeB: Bool = false,
        m: Int, n: Int, k: Int
    ) -> String? {
        let name: String
        switch dtype {
        case .float32:
            let kernel = ProductKernel(transposeA: transposeA, transposeB: transposeB, m: m, n: n, k: k)
            name = kernel == .packed && isRounded(precision) ? "packed bf16 GEMM" : kernel.name
        case .float64: name = ProductKernel.openBLAS.name
        case nil: return nil
        default: return "loops"
        }
        return batch > 1 ? "batched \(name)" : name
    }
}
