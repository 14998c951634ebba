import CKernels
import GraphRuntime

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Single-precision matrix products by this project's own kernels, on the calling thread: operands are packed block by block into
/// panels that stay in cache (Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008).
enum PackedProduct {
    /// The instruction set that the kernels use on this machine.
    static let level = ck_level()
    static let tile = ck_gemm_tile(level)
    static let rows = Int(tile.rows)
    static let columns = Int(tile.columns)

    /// Whether the kernels beat OpenBLAS: not the plain ones, and not where a matrix is little more than a vector.
    static func isPreferred(m: Int, n: Int, k: Int) -> Bool { level != 0 && m >= 4 && n >= 8 && k >= 4 }

    /// Columns of B in a block.
    private static let blockColumns = 512
    /// Elements of a block of B, which stays in the second-level cache.
    private static let blockElements = 200 << 10
    /// Columns of a panel of A, which stays in the first-level cache, at the most.
    private static let largestDepth = 640

    /// C = alpha · op(A) · op(B), plus what stands in C where `accumulate` says so, plus `columnBias`; row-major, with op(A) m×k,
    /// op(B) k×n and C m×n.
    ///
    /// - Parameter columnBias: n numbers, each added to a column of C; nil for none. Not together with `accumulate`.
    static func run(
        transposeA: Bool, transposeB: Bool, m: Int, n: Int, k: Int, alpha: Float, a: UnsafePointer<Float>, lda: Int,
        b: UnsafePointer<Float>, ldb: Int, accumulate: Bool, columnBias: UnsafePointer<Float>? = nil,
        c: UnsafeMutablePointer<Float>, ldc: Int
    ) {
        let width = balanced(n, limit: blockColumns, multiple: columns)
        let depth = balanced(k, limit: min(blockElements / width, largestDepth), multiple: 1)
        let panelCount = (width + columns - 1) / columns
        let rowPanel = depth * rows + 32
        let scratch = ThreadScratch.floats(panelCount * columns * depth + rowPanel + rows * columns + 64)
        let packedA = scratch + panelCount * columns * depth
        let edge = packedA + rowPanel
        for column in stride(from: 0, to: n, by: width) {
            let columnCount = min(width, n - column)
            for inner in stride(from: 0, to: k, by: depth) {
                let innerCount = min(depth, k - inner)
                packB(
                    transposeB ? b + column * ldb + inner : b + inner * ldb + column, ldb, transposed: transposeB,
                    columns: columnCount, depth: innerCount, into: scratch)
                for row in stride(from: 0, to: m, by: rows) {
                    let rowCount = min(rows, m - row)
                    packA(
                        transposeA ? a + inner * lda + row : a + row * lda + inner, lda, transposed: transposeA, rows: rowCount,
                        depth: innerCount, alpha: alpha, into: packedA)
                    if inner == 0, let columnBias {
                        // Written just before it is added to, while it is in cache.
                        for index in row..<row + rowCount {
                            (c + index * ldc + column).update(from: columnBias + column, count: columnCount)
                        }
                    }
                    multiply(
                        packedA, scratch, depth: innerCount, rowCount: rowCount, columnCount: columnCount,
                        accumulate: accumulate || inner > 0 || columnBias != nil, edge: edge, c: c + row * ldc + column,
                        ldc: ldc)
                }
            }
        }
    }

    /// One panel of A times all panels of B.
    private static func multiply(
        _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, depth: Int, rowCount: Int, columnCount: Int, accumulate: Bool,
        edge: UnsafeMutablePointer<Float>, c: UnsafeMutablePointer<Float>, ldc: Int
    ) {
        for column in stride(from: 0, to: columnCount, by: columns) {
            let panel = b + column * depth
            let target = c + column
            let count = min(columns, columnCount - column)
            if rowCount == rows && count == columns {
                ck_gemm_kernel(level, depth, a, panel, target, ldc, accumulate ? 1 : 0)
            } else {
                ck_gemm_kernel(level, depth, a, panel, edge, columns, 0)
                for row in 0..<rowCount {
                    for index in 0..<count {
                        let value = edge[row * columns + index]
                        target[row * ldc + index] = accumulate ? target[row * ldc + index] + value : value
                    }
                }
            }
        }
    }

    private static func packA(
        _ a: UnsafePointer<Float>, _ lda: Int, transposed: Bool, rows count: Int, depth: Int, alpha: Float,
        into panel: UnsafeMutablePointer<Float>
    ) {
        if transposed {
            ck_pack_columns(a, lda, depth, Int32(count), Int32(rows), panel)
        } else {
            ck_pack_rows(a, lda, depth, Int32(count), Int32(rows), panel)
        }
        if alpha != 1 { for index in 0..<depth * rows { panel[index] *= alpha } }
    }

    private static func packB(
        _ b: UnsafePointer<Float>, _ ldb: Int, transposed: Bool, columns total: Int, depth: Int,
        into panels: UnsafeMutablePointer<Float>
    ) {
        for column in stride(from: 0, to: total, by: columns) {
            let count = Int32(min(columns, total - column))
            let panel = panels + column * depth
            if transposed {
                ck_pack_rows(b + column * ldb, ldb, depth, count, Int32(columns), panel)
            } else {
                ck_pack_columns(b + column, ldb, depth, count, Int32(columns), panel)
            }
        }
    }

    /// The size of equal parts of `count` that are no longer than `limit`.
    private static func balanced(_ count: Int, limit: Int, multiple: Int) -> Int {
        let parts = (count + limit - 1) / limit
        let size = (count + parts - 1) / parts
        return (size + multiple - 1) / multiple * multiple
    }
}

/// Memory that each thread keeps for packing, given back when the thread ends.
enum ThreadScratch {
    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        pthread_key_create(&key) { pointer in
            #if canImport(Darwin)
                Unmanaged<TensorStorage>.fromOpaque(pointer).release()
            #else
                if let pointer { Unmanaged<TensorStorage>.fromOpaque(pointer).release() }
            #endif
        }
        return key
    }()

    /// Uninitialised memory for `count` floats, aligned to 64 bytes, until the thread's next call.
    static func floats(_ count: Int) -> UnsafeMutablePointer<Float> {
        let byteCount = count * MemoryLayout<Float>.stride
        if let pointer = pthread_getspecific(key) {
            let storage = Unmanaged<TensorStorage>.fromOpaque(pointer)
            let held = storage.takeUnretainedValue()
            if held.byteCount >= byteCount { return held.base.assumingMemoryBound(to: Float.self) }
            pthread_setspecific(key, nil)
            storage.release()
        }
        // Out of memory for packing leaves nothing to go on with, on any thread.
        guard let storage = try? TensorStorage(byteCount: max(byteCount, 1 << 20)) else { abort() }
        pthread_setspecific(key, Unmanaged.passRetained(storage).toOpaque())
        return storage.base.assumingMemoryBound(to: Float.self)
    }
}
