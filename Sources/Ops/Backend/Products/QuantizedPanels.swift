import CKernels
import GraphRuntime

extension PanelLayout {
    /// Packs all panels of a matrix of float32 or of 16-bit floats as whole numbers with scales, see `quantized_weights.h` and, of
    /// ``ProductPrecision/int8``, `dynamic_product.h`.
    ///
    /// - Throws: ``TensorError`` where there is no memory for a panel's numbers.
    func quantize(_ matrix: Tensor, into target: UnsafeMutablePointer<Float>, threads: ThreadPool) throws(TensorError) {
        let bits = precision.quantizedBits
        nonisolated(unsafe) let target = unsafe target
        let step = isTransposed ? depth : columns
        let half = matrix.dtype.isHalf ? try HalfMatrix(matrix, step: step) : nil
        nonisolated(unsafe) let source = unsafe half == nil ? try matrix.pointer(to: Float.self) : nil
        var single = self
        single.precision = .single
        let plain = single
        let size = plain.widenedSize
        unsafe try threads.forEach(panelCount, scratchBytes: 2 * size * MemoryLayout<Float>.stride) { panel, scratch in
            let numbers = unsafe scratch.assumingMemoryBound(to: Float.self)
            if let half {
                unsafe plain.packWidened(panel: panel, half, into: numbers, memory: numbers + size)
            } else if let source = unsafe source {
                unsafe plain.pack(panel: panel, source, step: step, at: numbers)
            }
            let place = unsafe target + panel * width * panelRows
            if let bits {
                unsafe ck_quantize_panel(bits, numbers, depth, Int32(width), place)
            } else {
                unsafe ck_quantize_byte_panel(numbers, depth, Int32(width), place)
            }
        }
    }
}
