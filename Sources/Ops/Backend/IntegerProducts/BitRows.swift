import CKernels
import GraphRuntime

/// Rows times weights in their own bits, see `bit_rows.h`: a step of a language model, which reads all of its weights for one row, and any
/// number of rows that may be rounded to bytes.
@safe
struct BitRows: @unchecked Sendable {
    /// A factor in panels, the first of which is described.
    let first: ck_bit_panel
    /// Bytes from one panel to the next.
    let panelBytes: Int
    /// Of the product.
    let columns: Int
    let depth: Int

    /// Whether A is rounded to whole numbers of 8 bits, block by block, with exact sums of their products.
    let inBytes: Bool

    /// Rows that are multiplied together.
    private static let together = 4

    /// Rows of floats up to which this takes less time than to widen panels for a product; of bytes it does for any number.
    private static let mostFloats = 8

    /// Whether rows are multiplied in this way: with panels of whole vectors, and rows that whole blocks don't make much longer.
    static func isPreferred(rows: Int, depth: Int, blockSize: Int, inBytes: Bool) -> Bool {
        PanelProduct.columns % 16 == 0 && (inBytes || rows <= mostFloats) && blockSize <= depth + 256
    }

    /// Whether weights of so many bits, in blocks of so many, are multiplied with bytes on this processor, with sums that fit 32 bits.
    static func multipliesBytes(bits: Int, blockSize: Int) -> Bool {
        ck_has_byte_rows(Int32(bits)) != 0 && blockSize <= 1 << 16
    }

    /// A's rows in whole blocks, as floats, or as numbers with scales and sums of each block.
    private struct Rows {
        let numbers: MutableTensor
        var scales: MutableTensor?
        var sums: MutableTensor?
    }

    private func rows(_ a: UnsafePointer<Float>, _ count: Int, _ threads: ThreadPool) throws(TensorError) -> Rows {
        let (blocks, block) = unsafe (first.blocks, first.block)
        let length = blocks * block
        let shape = try Shape([count, length])
        guard inBytes else {
            let floats = try MutableTensor(dtype: .float32, shape: shape)
            for row in 0..<count { unsafe copy(a, row, to: try floats.pointer(to: Float.self) + row * length, length) }
            return Rows(numbers: floats)
        }
        let (numbers, scales, sums) = (
            try MutableTensor(dtype: .int8, shape: shape), try MutableTensor(dtype: .float32, shape: Shape([count, blocks])),
            try MutableTensor(dtype: .int32, shape: Shape([count, blocks]))
        )
        nonisolated(unsafe) let (bytes, factors, totals) = unsafe (
            try numbers.pointer(to: Int8.self), try scales.pointer(to: Float.self), try sums.pointer(to: Int32.self)
        )
        nonisolated(unsafe) let a = unsafe a
        // Parts that are worth waking a thread for.
        let step = max((16 << 10) / length, 1)
        let floats = length * MemoryLayout<Float>.stride
        unsafe try threads.forEach((count + step - 1) / step, scratchBytes: floats) { part, scratch in
            let line = unsafe scratch.assumingMemoryBound(to: Float.self)
            for row in part * step..<min((part + 1) * step, count) {
                unsafe copy(a, row, to: line, length)
                unsafe ck_byte_row_numbers(
                    line, blocks, block, first.bits, bytes + row * length, factors + row * blocks, totals + row * blocks)
            }
        }
        return Rows(numbers: numbers, scales: scales, sums: sums)
    }

    /// A row in whole blocks: behind its last number there are zeros.
    private func copy(_ a: UnsafePointer<Float>, _ row: Int, to target: UnsafeMutablePointer<Float>, _ length: Int) {
        unsafe target.update(from: a + row * depth, count: depth)
        unsafe (target + depth).update(repeating: 0, count: length - depth)
    }

    /// C = A · the factor + start.
    ///
    /// - Parameters:
    ///   - a: [rows, depth].
    ///   - c: [rows, columns].
    /// - Throws: ``TensorError`` where there is no memory for a copy of A.
    func run(
        _ a: UnsafePointer<Float>, rows count: Int, _ start: ProductStart<Float>, _ c: UnsafeMutablePointer<Float>,
        threads: ThreadPool
    ) throws(TensorError) {
        let (width, blocks) = unsafe (Int(first.columns), first.blocks)
        let length = unsafe blocks * first.block
        let rows = unsafe try rows(a, count, threads)
        nonisolated(unsafe) let numbers = unsafe rows.numbers.start
        nonisolated(unsafe) let scales = unsafe try rows.scales?.pointer(to: Float.self)
        nonisolated(unsafe) let sums = unsafe try rows.sums?.pointer(to: Int32.self)
        nonisolated(unsafe) let (start, c) = unsafe (start, c)
        let panelCount = (columns + width - 1) / width
        // Tasks that read at least 64 KB.
        let step = max((64 << 10) / (panelBytes * ((count + Self.together - 1) / Self.together)), 1)
        let bytes = Self.together * width * MemoryLayout<Float>.stride
        unsafe try threads.forEach((panelCount + step - 1) / step, scratchBytes: bytes) { task, scratch in
            let products = unsafe scratch.assumingMemoryBound(to: Float.self)
            for panel in task * step..<min((task + 1) * step, panelCount) {
                var own = unsafe self.panel(panel)
                for row in stride(from: 0, to: count, by: Self.together) {
                    let some = min(Self.together, count - row)
                    if let scales = unsafe scales, let sums = unsafe sums {
                        unsafe ck_byte_rows(
                            &own, numbers.assumingMemoryBound(to: Int8.self) + row * length, scales + row * blocks,
                            sums + row * blocks, Int32(some), products)
                    } else {
                        unsafe ck_bit_rows(
                            &own, numbers.assumingMemoryBound(to: Float.self) + row * length, length, Int32(some),
                            products)
                    }
                    unsafe write(products, rows: row..<row + some, panel: panel, start, c)
                }
            }
        }
        withExtendedLifetime(rows) {}
    }

    private func panel(_ index: Int) -> ck_bit_panel {
        var result = unsafe first
        func moved(_ floats: UnsafePointer<Float>) -> UnsafePointer<Float> {
            unsafe (UnsafeRawPointer(floats) + index * panelBytes).assumingMemoryBound(to: Float.self)
        }
        unsafe result.numbers += index * panelBytes
        unsafe result.scales = unsafe moved(result.scales)
        if let zeros = unsafe result.zeros { unsafe result.zeros = unsafe moved(zeros) }
        return unsafe result
    }

    private func write(
        _ products: UnsafeMutablePointer<Float>, rows: Range<Int>, panel: Int, _ start: ProductStart<Float>,
        _ c: UnsafeMutablePointer<Float>
    ) {
        let width = unsafe Int(first.columns)
        let place = panel * width
        let count = min(width, columns - place)
        for row in rows {
            let sums = unsafe products + (row - rows.lowerBound) * width
            let result = unsafe c + row * columns + place
            unsafe add(start.part(rows: row..<row + 1, columns: place..<place + count, step: columns), to: sums, count, result)
            unsafe result.update(from: sums, count: count)
        }
    }

    /// Adds what a row of the product begins with.
    private func add(
        _ start: ProductStart<Float>, to sums: UnsafeMutablePointer<Float>, _ count: Int, _ target: UnsafeMutablePointer<Float>
    ) {
        switch unsafe start {
        case .zero: break
        case .target: for index in 0..<count { unsafe sums[index] += target[index] }
        case .rows(let values): for index in 0..<count { unsafe sums[index] += values[0] }
        case .columns(let values): for index in 0..<count { unsafe sums[index] += values[index] }
        case .matrix(let values, let offsets):
            for index in 0..<count { unsafe sums[index] = unsafe sums[index] + (offsets?[index] ?? 0) + values[index] }
        }
    }
}
