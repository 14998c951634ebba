import CKernels
import GraphRuntime

extension PanelProduct {
    /// The right factor in panels of numbers of 4 bits, where it is in blocks of such already: the transpose of a matrix [n, k] of numbers
    /// less 8, with a scale for each block of a row.
    ///
    /// - Parameters:
    ///   - numbers: [n, blocks, bytes of a block], of uint8, the numbers of low bits first.
    ///   - scales: [n, blocks], of float32 or of 16-bit floats.
    ///   - blockSize: numbers of a block.
    ///   - m: rows of the left factor.
    /// - Returns: nil for other shapes and types, for blocks that aren't whole ones of the panels, where packing isn't worth it, or where the
    ///   numbers would be in memory twice.
    static func packedBlocks(
        _ numbers: Tensor, scales: Tensor, blockSize: Int, m: Int, n: Int, k: Int, constants: PackedConstants?
    ) -> PackedFactor? {
        let blocks = (k + blockSize - 1) / blockSize
        guard let constants, blockSize % Int(CK_QUANTIZED_BLOCK) == 0, ProductKernel(m: m, n: n, k: k) == .packed,
            numbers.dtype == .uint8, numbers.count == n * blocks * blockSize / 2,
            scales.dtype == .float32 || scales.dtype.isHalf, scales.count == n * blocks
        else { return nil }
        let layout = layout(n: n, k: k, precision: .int4Weights)
        let form = "panels of \(layout.width) of \(k)×\(n), blocks of \(blockSize) numbers of 4 bits"
        let constant = constants.constant(numbers, form: form, others: [scales]) { numbers, threads throws(TensorError) in
            let scales = try scales.widened(threads: threads).array(of: Float.self)
            let result = try MutableTensor(dtype: .float32, shape: Shape([layout.floatCount]))
            nonisolated(unsafe) let target = unsafe try result.pointer(to: Float.self)
            nonisolated(unsafe) let source = unsafe numbers.start.assumingMemoryBound(to: UInt8.self)
            let rowBytes = blocks * blockSize / 2
            unsafe scales.withUnsafeBufferPointer { scales in
                nonisolated(unsafe) let scales = unsafe scales
                threads.forEach(layout.panelCount) { panel in
                    let first = panel * layout.width
                    unsafe ck_pack_block_panel(
                        source + first * rowBytes, rowBytes, scales.baseAddress.map { unsafe $0 + first * blocks }, blocks,
                        blockSize, k, Int32(min(layout.width, n - first)), Int32(layout.width),
                        target + panel * layout.width * layout.panelRows)
                }
            }
            return result.tensor
        }
        return constant.map { PackedFactor(constant: $0, precision: .int4Weights) }
    }

    /// The product of a few rows with panels of 4 bits (`quantized_weights.h`), whose numbers are widened where they are multiplied.
    ///
    /// - Returns: nil for many rows, and for products of other forms.
    func bitRows(_ panels: UnsafePointer<Float>) -> BitRows? {
        let (width, block) = (Self.columns, Int(CK_QUANTIZED_BLOCK))
        guard !transposeA, rowStep == nil, alpha == 1, !isGated,
            BitRows.isPreferred(rows: m, depth: k, blockSize: block, inBytes: false)
        else { return nil }
        let floatsOfBlock = ck_quantized_rows(4, block) * width
        let numbers = unsafe UnsafeRawPointer(panels + width).assumingMemoryBound(to: UInt8.self)
        let first = unsafe ck_bit_panel(
            numbers: numbers, block_bytes: floatsOfBlock * MemoryLayout<Float>.stride, scales: panels,
            block_scales: floatsOfBlock,
            zeros: nil, zero: 8, bits: 4, columns: Int32(width), blocks: (k + block - 1) / block, block: block, byte_step: 1,
            number_step: block / 2)
        let panelBytes = ck_quantized_rows(4, k) * width * MemoryLayout<Float>.stride
        return unsafe BitRows(first: first, panelBytes: panelBytes, columns: n, depth: k, inBytes: false)
    }
}
