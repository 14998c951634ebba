import GraphRuntime

/// How a product of matrices of float32 is computed on one thread: the one place where that is chosen, for runs and for profiles.
enum ProductKernel: Equatable {
    /// This project's own kernels on packed panels, ``PackedProduct``.
    case packed
    /// A few rows times the rows of B.
    case dotProducts
    case openBLAS

    /// - Parameters:
    ///   - m: rows of C.
    ///   - n: columns of C.
    ///   - k: the extent that is summed over.
    ///   - beta: what C is multiplied with before the product is added.
    ///   - canPack: false where there is no memory to pack into.
    init(transposeA: Bool = false, transposeB: Bool = false, m: Int, n: Int, k: Int, beta: Float = 0, canPack: Bool = true) {
        if canPack, beta == 0 || beta == 1, PackedProduct.isPreferred(m: m, n: n, k: k) {
            self = .packed
        } else if !transposeA, transposeB, m < 4 {
            self = .dotProducts
        } else {
            self = .openBLAS
        }
    }

    /// What profiles call it.
    var name: String {
        switch self {
        case .packed: "packed GEMM"
        case .dotProducts: "dot products"
        case .openBLAS: "OpenBLAS"
        }
    }

    /// What profiles call products with a right factor that was packed once, ``PanelProduct``.
    static let prePackedName = "pre-packed GEMM"

    /// What profiles call products of a type, the first of which ``MatrixProduct`` cuts into tiles: tiles are no smaller than what
    /// decides on the kernel.
    static func name(
        _ dtype: DType?, batch: Int = 1, transposeA: Bool = false, transposeB: Bool = false, m: Int, n: Int, k: Int
    ) -> String? {
        let name: String
        switch dtype {
        case .float32: name = ProductKernel(transposeA: transposeA, transposeB: transposeB, m: m, n: n, k: k).name
        case .float64: name = ProductKernel.openBLAS.name
        case nil: return nil
        default: return "loops"
        }
        return batch > 1 ? "batched \(name)" : name
    }
}
