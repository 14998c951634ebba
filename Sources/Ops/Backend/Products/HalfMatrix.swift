import CKernels
import GraphRuntime

/// A row-major matrix of 16-bit floats, at any address of a byte.
@safe
struct HalfMatrix: @unchecked Sendable {
    private let first: UnsafeRawPointer
    /// Numbers from one row to the next.
    private let step: Int
    private let dtype: DType
    /// What holds the memory.
    private let tensor: Tensor

    /// - Throws: ``TensorError`` where the tensor isn't of 16-bit floats.
    init(_ tensor: Tensor, step: Int) throws(TensorError) {
        guard tensor.dtype.isHalf else { throw TensorError("expected float16 or bfloat16, found \(tensor.dtype)") }
        unsafe first = unsafe tensor.start
        (self.step, dtype, self.tensor) = (step, tensor.dtype, tensor)
    }

    /// Writes the numbers of a part of a row as float32.
    func widen(row: Int, column: Int, count: Int, into numbers: UnsafeMutablePointer<Float>) {
        let place = unsafe place(row: row, column: column)
        if dtype == .float16 {
            unsafe ck_widen_float16(place, count, numbers)
        } else {
            unsafe ck_widen_bfloat16(place, count, numbers)
        }
    }

    /// The address of a number.
    func place(row: Int, column: Int) -> UnsafeRawPointer { unsafe first + 2 * (row * step + column) }

    /// Packs `count` columns from one on into those of a panel, or into a part of these, as they are.
    func packColumns(
        from column: Int, count: Int, of columns: Int, depth: Int, into panel: UnsafeMutablePointer<UInt16>, panelStep: Int
    ) {
        unsafe ck_pack_half_columns(place(row: 0, column: column), step, depth, Int32(count), Int32(columns), panel, panelStep)
    }

    /// Packs `count` rows from one on, which are the columns of the factor, into a panel as they are.
    func packRows(from row: Int, count: Int, of rows: Int, depth: Int, into panel: UnsafeMutablePointer<UInt16>) {
        unsafe ck_pack_half_rows(place(row: row, column: 0), step, depth, Int32(count), Int32(rows), panel)
    }
}

extension PanelLayout {
    /// Packs all panels of a matrix of 16-bit floats: as they are where the panels hold such, else widened and rounded.
    ///
    /// - Throws: ``TensorError`` where there is no memory to widen a panel into.
    func pack(_ matrix: HalfMatrix, into target: UnsafeMutablePointer<Float>, threads: ThreadPool) throws(TensorError) {
        nonisolated(unsafe) let target = unsafe target
        if precision == .float16Weights {
            threads.forEach(panelCount) { unsafe packHalves(panel: $0, matrix, into: target + $0 * width * panelRows) }
            return
        }
        unsafe try threads.forEach(panelCount, scratchBytes: widenedSize * MemoryLayout<Float>.stride) { panel, scratch in
            unsafe packWidened(
                panel: panel, matrix, into: target + panel * width * panelRows,
                memory: scratch.assumingMemoryBound(to: Float.self))
        }
    }

    /// Floats of a panel's part of the matrix, with room for what packing writes behind it.
    var widenedSize: Int { depth * width + 16 }

    /// Packs a panel of a matrix of 16-bit floats, which are widened into `memory`, room for ``widenedSize`` floats.
    func packWidened(
        panel: Int, _ matrix: HalfMatrix, into target: UnsafeMutablePointer<Float>, memory numbers: UnsafeMutablePointer<Float>
    ) {
        let first = panel * width
        let count = min(width, columns - first)
        if isTransposed {
            for column in 0..<count {
                unsafe matrix.widen(row: first + column, column: 0, count: depth, into: numbers + column * depth)
            }
        } else if isGated {
            let half = width / 2
            for row in 0..<depth {
                unsafe matrix.widen(row: row, column: first / 2, count: half, into: numbers + row * width)
                unsafe matrix.widen(
                    row: row, column: columns / 2 + first / 2, count: half, into: numbers + row * width + half)
            }
        } else {
            for row in 0..<depth {
                unsafe matrix.widen(row: row, column: first, count: count, into: numbers + row * count)
            }
        }
        // The only panel of a smaller matrix.
        var part = self
        part.columns = count
        unsafe part.pack(numbers, step: isTransposed ? depth : count, into: target)
    }

    private func packHalves(panel: Int, _ matrix: HalfMatrix, into place: UnsafeMutablePointer<Float>) {
        let first = panel * width
        let count = min(width, columns - first)
        unsafe place.withMemoryRebound(to: UInt16.self, capacity: 2 * panelRows * width) { place in
            if isTransposed {
                unsafe matrix.packRows(from: first, count: count, of: width, depth: depth, into: place)
            } else if isGated {
                let half = width / 2
                unsafe matrix.packColumns(
                    from: first / 2, count: half, of: half, depth: depth, into: place, panelStep: width)
                unsafe matrix.packColumns(
                    from: columns / 2 + first / 2, count: half, of: half, depth: depth, into: place + half, panelStep: width)
            } else {
                unsafe matrix.packColumns(from: first, count: count, of: width, depth: depth, into: place, panelStep: width)
            }
            // The row that an odd number of them lacks.
            if depth % 2 != 0 { unsafe (place + depth * width).update(repeating: 0, count: width) }
        }
    }
}

extension Tensor {
    /// The same numbers in float32, where they are 16-bit floats; every other tensor as it is.
    ///
    /// - Throws: ``TensorError`` where there is no memory for them.
    func widened(threads: ThreadPool) throws(TensorError) -> Tensor { try HalfPrecision.widen(self, threads: threads) }
}
