import CKernels
import GraphRuntime

/// A matrix of int8 or uint8 [depth, columns] in the panels that the kernels of integer_product.h read, behind them the sums of its
/// columns, as int32.
struct BytePanels {
    /// The kernels' instruction set on this machine.
    static let level = ck_bytes_level()
    static let tile = ck_bytes_tile(level)
    static let tileRows = Int(tile.rows)
    /// Whether products are computed by AMX.
    static let usesTiles = Int(level) == CK_BYTES_AMX
    /// Columns of a panel.
    static let width = Int(tile.columns)

    let depth: Int
    let columns: Int
    /// Whether the matrix is given as its transpose, row by row.
    var isTransposed = false
    /// Matrices that lie one after the other.
    var count = 1
    /// Of a transpose, whose rows are [depth / taps][taps]: with more than one, the panels' rows come in the order [taps][depth / taps].
    var taps = 1

    /// Groups of four rows.
    var groups: Int { (depth + 3) / 4 }
    var panelCount: Int { (columns + Self.width - 1) / Self.width }
    /// Bytes of a panel.
    var panelSize: Int { groups * 4 * Self.width }
    /// Bytes of a matrix's panels.
    private var panelsSize: Int { panelCount * panelSize }
    /// Columns, with those that the last panel lacks.
    private var paddedColumns: Int { panelCount * Self.width }
    /// Bytes of a matrix with its columns' sums.
    private var matrixSize: Int { panelsSize + paddedColumns * MemoryLayout<Int32>.stride }

    /// What is 128 higher in the panels than in the matrix: nothing where that has signs.
    static func shift(_ dtype: DType?) -> Int32 { dtype == .uint8 ? -128 : 0 }

    /// The packed form.
    ///
    /// - Throws: ``TensorError`` where there is no memory for it, or where the tensor has other elements.
    func pack(_ matrix: Tensor, threads: ThreadPool) throws(TensorError) -> Tensor {
        guard matrix.dtype == .int8 || matrix.dtype == .uint8 else {
            throw TensorError("expected int8 or uint8, found \(matrix.dtype)")
        }
        guard matrix.count == count * columns * depth else {
            throw TensorError("\(count) matrices of \(depth)×\(columns) don't have \(matrix.count) elements")
        }
        let result = try MutableTensor(dtype: .uint8, shape: Shape([count * matrixSize]))
        nonisolated(unsafe) let source = unsafe matrix.start.assumingMemoryBound(to: UInt8.self)
        nonisolated(unsafe) let target = unsafe result.start
        let flip: UInt8 = matrix.dtype == .uint8 ? 0x80 : 0
        let pack = unsafe isTransposed ? ck_pack_byte_rows : ck_pack_byte_columns
        let (width, stepOfRows, stepOfColumns) = (Self.width, isTransposed ? depth : columns, isTransposed ? depth : 1)
        threads.forEach(count * panelCount) { index in
            let first = index % panelCount * width
            let matrix = unsafe target + index / panelCount * matrixSize
            let panel = unsafe (matrix + first / width * panelSize).assumingMemoryBound(to: UInt8.self)
            let count = min(width, columns - first)
            let place = unsafe source + index / panelCount * columns * depth + first * stepOfColumns
            if taps > 1 {
                let reordered = unsafe tapsFirst(place, rows: count)
                unsafe pack(reordered, stepOfRows, depth, Int32(count), Int32(width), flip, panel)
            } else {
                unsafe pack(place, stepOfRows, depth, Int32(count), Int32(width), flip, panel)
            }
            let sums = unsafe (matrix + panelsSize).assumingMemoryBound(to: Int32.self)
            unsafe ck_panel_sums(panel, groups, Int32(width), sums + first)
        }
        return try result.finish()
    }

    /// Rows of a transpose in the order [taps][depth / taps].
    private func tapsFirst(_ rows: UnsafePointer<UInt8>, rows count: Int) -> [UInt8] {
        let channels = depth / taps
        var result = [UInt8](repeating: 0, count: count * depth)
        unsafe result.withUnsafeMutableBufferPointer { buffer in
            guard let target = buffer.baseAddress else { return }
            for row in 0..<count {
                unsafe ck_transpose_bytes(rows + row * depth, taps, channels, taps, target + row * depth, channels)
            }
        }
        return result
    }

    /// The packed form of a constant, made when a run first needs it; nil where it would be in memory twice.
    func packed(_ matrix: Tensor, constants: PackedConstants?) -> PackedConstant? {
        guard matrix.count > 0, matrix.dtype == .int8 || matrix.dtype == .uint8, matrix.count == count * columns * depth else {
            return nil
        }
        let form =
            "\(count) of bytes \(depth)×\(columns) in panels of \(Self.width)\(isTransposed ? " transposed" : ""), \(taps) taps"
        return constants?.constant(matrix, form: form) { [self] matrix, threads throws(TensorError) in
            try pack(matrix, threads: threads)
        }
    }

    /// The panels of a matrix among those of a packed form, and the sums of its columns.
    ///
    /// - Throws: ``TensorError`` where the tensor isn't such a form.
    @unsafe
    func matrix(_ index: Int, of packed: Tensor) throws(TensorError) -> (
        panels: UnsafePointer<UInt8>, sums: UnsafePointer<Int32>
    ) {
        guard packed.byteCount == count * matrixSize, (0..<count).contains(index) else {
            throw TensorError("packed bytes don't have the \(count) matrices of \(depth)×\(columns)")
        }
        let place = unsafe packed.start + index * matrixSize
        return unsafe (place.assumingMemoryBound(to: UInt8.self), (place + panelsSize).assumingMemoryBound(to: Int32.self))
    }
}
