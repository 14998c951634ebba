import CKernels
import GraphRuntime

/// A constant matrix of float32 or of 16-bit floats whose rows are output channels, as whole numbers with scales, row by row, see
/// `quantized_weights.h`: the same numbers as panels of them have, for kernels that read weights as the file has them.
struct QuantizedRows: Sendable {
    private let rows: Int
    private let depth: Int
    private let bits: Int32
    private let constant: PackedConstant

    /// - Parameters:
    ///   - weights: [output channels, …].
    ///   - plan: says which numbers are wanted.
    /// - Returns: nil where the file's are, or the weights would be in memory twice.
    init?(_ weights: Tensor, plan: PlanContext) {
        guard let constants = plan.constants,
            let bits = ProductPrecision(.single, isPacked: true, format: plan.weights).quantizedBits,
            weights.dtype == .float32 || weights.dtype.isHalf, weights.count > 0, let rows = weights.shape.dimensions.first
        else { return nil }
        let depth = weights.count / rows
        let size = Self.floatCount(rows: rows, depth: depth, bits: bits)
        guard
            let constant = constants.constant(
                weights, form: "\(rows) rows of \(depth) numbers of \(bits) bits",
                pack: { weights, threads throws(TensorError) in
                    let result = try MutableTensor(dtype: .float32, shape: Shape([size]))
                    nonisolated(unsafe) let target = unsafe try result.pointer(to: Float.self)
                    let half = weights.dtype.isHalf ? try HalfMatrix(weights, step: depth) : nil
                    let source = half == nil ? try weights.aligned() : weights
                    try withExtendedLifetime(source) { () throws(TensorError) in
                        nonisolated(unsafe) let numbers = unsafe half == nil ? try source.pointer(to: Float.self) : nil
                        unsafe try threads.forEach(rows, scratchBytes: depth * MemoryLayout<Float>.stride) { row, scratch in
                            let memory = unsafe scratch.assumingMemoryBound(to: Float.self)
                            unsafe half?.widen(row: row, column: 0, count: depth, into: memory)
                            let place = Self.place(row: row, rows: rows, depth: depth, bits: bits)
                            unsafe ck_quantize_row(
                                bits, numbers.map { unsafe $0 + row * depth } ?? UnsafePointer(memory), depth,
                                UnsafeMutableRawPointer(target).assumingMemoryBound(to: UInt8.self) + place.byte,
                                target + place.scale)
                        }
                    }
                    return result.tensor
                })
        else { return nil }
        (self.rows, self.depth, self.bits, self.constant) = (rows, depth, bits, constant)
    }

    private static func blocks(_ depth: Int) -> Int { (depth + Int(CK_QUANTIZED_BLOCK) - 1) / Int(CK_QUANTIZED_BLOCK) }
    private static func scales(depth: Int, bits: Int32) -> Int { bits == 8 ? 1 : blocks(depth) }
    private static func bytes(depth: Int, bits: Int32) -> Int {
        bits == 8 ? depth : blocks(depth) * Int(CK_QUANTIZED_BLOCK) / 2
    }

    /// All scales come first.
    private static func floatCount(rows: Int, depth: Int, bits: Int32) -> Int {
        rows * scales(depth: depth, bits: bits) + (rows * bytes(depth: depth, bits: bits) + 3) / 4
    }

    private static func place(row: Int, rows: Int, depth: Int, bits: Int32) -> (scale: Int, byte: Int) {
        let scales = scales(depth: depth, bits: bits)
        return (row * scales, rows * scales * MemoryLayout<Float>.stride + row * bytes(depth: depth, bits: bits))
    }

    /// The numbers in memory.
    ///
    /// - Throws: ``TensorError`` where there is no room for them.
    func matrix(threads: ThreadPool) throws(TensorError) -> QuantizedMatrix {
        let tensor = try constant.tensor(threads: threads)
        return unsafe QuantizedMatrix(start: try tensor.pointer(to: Float.self), tensor: tensor, rows: self)
    }

    /// Rows of numbers of few bits in memory.
    @safe
    struct QuantizedMatrix: @unchecked Sendable {
        private let start: UnsafePointer<Float>
        /// What holds the memory.
        private let tensor: Tensor
        private let rows: QuantizedRows

        fileprivate init(start: UnsafePointer<Float>, tensor: Tensor, rows: QuantizedRows) {
            unsafe self.start = unsafe start
            (self.tensor, self.rows) = (tensor, rows)
        }

        /// Writes the numbers of a part of a row as float32.
        func widen(row: Int, column: Int, count: Int, into numbers: UnsafeMutablePointer<Float>) {
            let place = QuantizedRows.place(row: row, rows: rows.rows, depth: rows.depth, bits: rows.bits)
            unsafe ck_widen_quantized_row(
                rows.bits, UnsafeRawPointer(start).assumingMemoryBound(to: UInt8.self) + place.byte, start + place.scale,
                column, count, numbers)
        }

        /// All numbers as float32.
        ///
        /// - Throws: ``TensorError`` where there is no memory for them.
        func widened(to shape: Shape, threads: ThreadPool) throws(TensorError) -> Tensor {
            let result = try MutableTensor(dtype: .float32, shape: shape)
            nonisolated(unsafe) let target = unsafe try result.pointer(to: Float.self)
            threads.forEachRange(rows.rows, grain: max((1 << 16) / rows.depth, 1)) { part in
                for row in part { unsafe widen(row: row, column: 0, count: rows.depth, into: target + row * rows.depth) }
            }
            return try result.finish()
        }
    }
}
