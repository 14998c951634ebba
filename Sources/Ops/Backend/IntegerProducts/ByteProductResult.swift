import CKernels
import GraphRuntime

extension ByteProduct {
    /// What becomes of the sums.
    @unsafe
    enum Result {
        case integers(UnsafeMutablePointer<Int32>, step: Int)
        /// See `ck_scale_sums`; the addend lies as the result does.
        case floats(UnsafeMutablePointer<Float>, step: Int, bias: UnsafePointer<Float>?, addend: UnsafePointer<Float>?)
        /// See `ck_requantize_sums`.
        case bytes(UnsafeMutablePointer<UInt8>, step: Int, ByteRange)

        /// The result from a row and a column on.
        func from(row: Int, column: Int) -> Result {
            switch unsafe self {
            case .integers(let y, let step): return unsafe .integers(y + row * step + column, step: step)
            case .floats(let y, let step, let bias, let addend):
                let place = row * step + column
                return unsafe .floats(
                    y + place, step: step, bias: bias.map { unsafe $0 + column }, addend: addend.map { unsafe $0 + place })
            case .bytes(let y, let step, let range): return unsafe .bytes(y + row * step + column, step: step, range)
            }
        }

        /// A tile of the result, from a column on, in memory that the caller has; the addend is left out.
        func tile(at memory: UnsafeMutableRawPointer, width: Int, column: Int) -> Result {
            switch unsafe self {
            case .integers: return unsafe .integers(memory.assumingMemoryBound(to: Int32.self), step: width)
            case .floats(_, _, let bias, _):
                return unsafe .floats(
                    memory.assumingMemoryBound(to: Float.self), step: width, bias: bias.map { unsafe $0 + column }, addend: nil)
            case .bytes(_, _, let range):
                return unsafe .bytes(memory.assumingMemoryBound(to: UInt8.self), step: width, range)
            }
        }

        /// Writes what becomes of rows of sums, which may be changed.
        ///
        /// - Parameters:
        ///   - step: sums from one row to the next.
        ///   - scales: without what the result itself says, a bias and an addend; no part of integers.
        ///   - table: what bytes become, by their bits; empty where they stay.
        func write(
            _ sums: UnsafeMutablePointer<Int32>, step: Int, _ terms: ck_zero_terms, rows: Int, columns: Int,
            _ scales: ck_sum_scales, table: [UInt8]
        ) {
            var left = unsafe terms
            let (rowCount, columnCount) = (Int32(rows), Int32(columns))
            let isBytes = if case .bytes = unsafe self { true } else { false }
            if case .integers(let y, let yStep) = unsafe self {
                return unsafe ck_finish_sums(sums, step, terms, rowCount, columnCount, y, yStep)
            }
            // What each column adds is taken along, and for float32 what each row does.
            if unsafe terms.row_zeros != nil || isBytes && terms.row_sums != nil {
                unsafe ck_finish_sums(sums, step, terms, rowCount, columnCount, sums, step)
                unsafe left = ck_zero_terms()
            }
            switch unsafe self {
            case .integers: break
            case .floats(let y, let yStep, let bias, let addend):
                var scales = unsafe scales
                unsafe (scales.bias, scales.addend) = unsafe (bias, addend)
                unsafe ck_scale_sums(sums, step, left, rowCount, columnCount, scales, y, yStep)
            case .bytes(let y, let yStep, let range):
                unsafe ck_requantize_sums(
                    sums, step, left.offsets, rowCount, columnCount, scales.rows, scales.columns, range.zero, range.least,
                    range.largest, y, yStep)
                if !table.isEmpty { unsafe ck_map_byte_rows(table, y, yStep, rows, columns, y, yStep) }
            }
        }
    }
}
