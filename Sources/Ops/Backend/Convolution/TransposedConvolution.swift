import CKernels
import GraphRuntime

/// The transposed convolution of [N, C, spatial…] with weights [C, M / group, kernel…]: each input pixel's product with the weights is
/// added to the output pixels that it reaches.
///
/// A task computes some output channels of a picture, strip by strip of its pixels: the products of a few channels' weights with a strip
/// stay in cache until they are added. Where no two input rows reach the same output, a task may also be a part of the rows.
struct TransposedConvolution<Element: FoldedElement> {
    private let fold: WindowFold
    private let group: Int
    private let channels: Int
    private let outputs: Int
    private let pictures: Int
    /// How weights are packed for kernels of their own, and the output channels of a product without these.
    private let layout: TransposedPanelLayout

    /// Numbers of a strip's pixels that the second-level cache keeps.
    private static var stripCount: Int { 96 << 10 }
    /// The same of their products with a few channels' weights.
    private static var productCount: Int { 32 << 10 }
    /// Rows of a product without panels.
    private static var mostRows: Int { 64 }
    /// Multiplications and additions below which threads aren't worth waking.
    private static var leastSharedWork: Double { 1e6 }

    /// - Parameter fold: where products go, which says how pixels lie.
    init(_ fold: WindowFold, input: Shape, weights: Shape, group: Int) throws(TensorError) {
        (self.fold, self.group, outputs) = (fold, group, weights[1])
        (pictures, channels) = (input[0], input[1] / group)
        try BLASLimits.check(outputs * fold.taps, fold.inputCount, channels)
        let mostRows = unsafe Self.hasKernels ? PackedProduct.rows : Self.mostRows
        layout = TransposedPanelLayout(
            groups: group, outputs: outputs, taps: fold.taps, channels: channels, mostRows: mostRows)
    }

    private static var hasKernels: Bool { unsafe Element.self == Float.self && PackedProduct.level != 0 }

    /// What float32 runs with, for profiles.
    static var kernelName: String { hasKernels ? "panels and folding" : "folding" }

    /// The weights in panels; nil where nothing reads such.
    func packed(_ weights: Tensor, constants: PackedConstants) -> PackedConstant? {
        Self.hasKernels ? layout.packed(weights, constants: constants) : nil
    }

    /// How the work of a picture's group is cut: parts of the output channels, and of the input's rows.
    private func cut(threads: Int) -> (blocks: Int, parts: Int) {
        let planes = pictures * group
        let work = 2 * Double(planes * outputs * fold.taps) * Double(fold.inputCount) * Double(channels)
        guard threads > 1, work >= Self.leastSharedWork else { return (1, 1) }
        let wanted = (4 * threads + planes - 1) / planes
        let blocks = min(layout.units, wanted)
        return (blocks, max(min(wanted / blocks, fold.mostParts), 1))
    }

    /// - Parameters:
    ///   - input: [N, C, spatial…].
    ///   - weights: [C, M / group, kernel…]; what they are in isn't looked at where there are panels.
    ///   - panels: what ``packed(_:constants:)`` has made of them; nil where they weren't packed.
    ///   - bias: [M].
    ///   - activation: what becomes of the sums.
    ///   - output: [N, M, spatial…].
    func run(
        _ input: Tensor, _ weights: Tensor, panels: Tensor?, bias: Tensor?, _ activation: FusedActivation?,
        into output: MutableTensor, threads: ThreadPool
    ) throws {
        guard output.count > 0 else { return }
        let operands = unsafe Operands(
            source: try input.pointer(to: Element.self),
            bias: try bias?.pointer(to: Element.self), target: try output.pointer(to: Element.self))
        // Without channels the extents bound no memory, and there is nothing to add.
        guard channels > 0, fold.inputCount > 0 else { return unsafe runEmpty(operands, activation) }
        guard Self.hasKernels else {
            return unsafe try run(operands, .rows(weights.pointer(to: Element.self)), activation, threads: threads)
        }
        if let panels {
            return unsafe try run(operands, .panels(panels.pointer(to: Float.self)), activation, threads: threads)
        }
        let source = unsafe try weights.pointer(to: Float.self)
        unsafe try threads.withWorkspace(byteCount: layout.floatCount * MemoryLayout<Float>.stride) {
            memory throws(TensorError) in
            let packed = unsafe memory.assumingMemoryBound(to: Float.self)
            unsafe layout.pack(source, into: packed, threads: threads)
            unsafe try run(operands, .panels(packed), activation, threads: threads)
        }
    }

    @unsafe
    private struct Operands: @unchecked Sendable {
        let source: UnsafePointer<Element>
        let bias: UnsafePointer<Element>?
        let target: UnsafeMutablePointer<Element>
    }

    /// The weights: as they lie, or in panels.
    @unsafe
    private enum Factor: @unchecked Sendable {
        case rows(UnsafePointer<Element>)
        case panels(UnsafePointer<Float>)
    }

    private func runEmpty(_ operands: Operands, _ activation: FusedActivation?) {
        for plane in 0..<pictures * group * outputs {
            let sums = unsafe operands.target + plane * fold.outputCount
            let start = unsafe operands.bias.map { unsafe $0[plane % (group * outputs)] } ?? 0
            unsafe sums.update(repeating: start, count: fold.outputCount)
            if let activation { unsafe Element.apply(activation, to: sums, count: fold.outputCount) }
        }
    }

    private func run(
        _ operands: Operands, _ factor: Factor, _ activation: FusedActivation?, threads: ThreadPool
    ) throws(TensorError) {
        let cut = cut(threads: threads.threadCount)
        let rows = layout.panels * layout.panelRows
        let most = min(Self.stripCount / channels, Self.productCount / max(rows, 1))
        // Of a great many taps, one pixel's products are much.
        let strip = min(max(most / 32 * 32, rows > Self.productCount ? 1 : 32), fold.inputCount)
        unsafe try threads.forEach(
            pictures * group * cut.blocks * cut.parts,
            scratchBytes: (layout.panelRows + rows * strip) * MemoryLayout<Element>.stride
        ) { index, scratch in
            let starts = unsafe scratch.assumingMemoryBound(to: Element.self)
            unsafe starts.update(repeating: 0, count: layout.panelRows)
            let products = unsafe starts + layout.panelRows
            let (part, block) = (index % cut.parts, index / cut.parts % cut.blocks)
            let units = layout.units * block / cut.blocks..<layout.units * (block + 1) / cut.blocks
            let task = Task(
                plane: index / cut.parts / cut.blocks, units: units, rows: fold.part(part, of: cut.parts))
            unsafe run(task, operands, factor, activation, strip: strip, starts, products)
        }
    }

    private struct Task {
        /// Of pictures and groups.
        let plane: Int
        let units: Range<Int>
        /// Of the input.
        let rows: Range<Int>
    }

    /// Sums are written when the first strip reaches them, and finished when no later one does.
    private func run(
        _ task: Task, _ operands: Operands, _ factor: Factor, _ activation: FusedActivation?, strip: Int,
        _ starts: UnsafeMutablePointer<Element>, _ products: UnsafeMutablePointer<Element>
    ) {
        let plane = task.plane
        var (reached, finished) = (fold.finished(before: task.rows.lowerBound), fold.finished(before: task.rows.lowerBound))
        forEachStrip(of: task.rows, strip) { rows, columns in
            // A row is done with its last columns.
            let isDone = columns.upperBound == fold.width
            let finishes = max(isDone ? fold.finished(before: rows.upperBound) : finished, finished)
            let reaches = max(fold.reached(before: rows.upperBound), reached, finishes)
            for unit in task.units {
                let first = unit * layout.unit
                let channels = first..<min(first + layout.unit, outputs)
                let sums = unsafe operands.target + (plane * outputs + first) * fold.outputCount
                unsafe multiply(
                    operands, factor, plane: plane, unit: unit, starts,
                    pixels: rows.lowerBound * fold.width + columns.lowerBound, count: rows.count * columns.count, products)
                for channel in channels {
                    let start = unsafe operands.bias.map { unsafe $0[plane % group * outputs + channel] } ?? 0
                    unsafe (sums + (channel - first) * fold.outputCount + reached).update(
                        repeating: start, count: reaches - reached)
                }
                unsafe fold.add(products, channels: channels.count, rows: rows, columns: columns, to: sums)
                guard let activation else { continue }
                for channel in 0..<channels.count {
                    unsafe Element.apply(
                        activation, to: sums + channel * fold.outputCount + finished, count: finishes - finished)
                }
            }
            (reached, finished) = (reaches, finishes)
        }
    }

    /// Calls `body` with whole rows of at most `strip` pixels, or with parts of one row.
    private func forEachStrip(of rows: Range<Int>, _ strip: Int, _ body: (_ rows: Range<Int>, _ columns: Range<Int>) -> Void) {
        let width = fold.width
        let step = max(strip / max(width, 1), 1)
        for row in stride(from: rows.lowerBound, to: rows.upperBound, by: step) {
            let some = row..<min(row + step, rows.upperBound)
            guard width > strip else {
                body(some, 0..<width)
                continue
            }
            for column in stride(from: 0, to: width, by: strip) { body(some, column..<min(column + strip, width)) }
        }
    }

    /// The products [channels of the unit · taps, count] of a unit's weights with neighbouring pixels of a plane.
    ///
    /// - Parameter starts: zeros for the rows of a panel.
    private func multiply(
        _ operands: Operands, _ factor: Factor, plane: Int, unit: Int, _ starts: UnsafeMutablePointer<Element>,
        pixels: Int, count: Int, _ products: UnsafeMutablePointer<Element>
    ) {
        let rows = min(layout.unit, outputs - unit * layout.unit) * fold.taps
        let source = unsafe operands.source + plane * channels * fold.inputCount + pixels
        let panels: UnsafePointer<Float>
        switch unsafe factor {
        case .panels(let memory): unsafe panels = unsafe memory
        case .rows(let weights):
            let first = (plane % group * channels * outputs + unit * layout.unit) * fold.taps
            return unsafe GEMM(
                transposeA: true, m: rows, n: count, k: channels, a: weights + first, lda: outputs * fold.taps,
                b: source, ldb: fold.inputCount, c: products, ldc: count
            ).run()
        }
        for panel in 0..<layout.panels {
            let own = layout.rows(panel: panel, of: rows)
            guard own > 0 else { continue }
            let weights = unsafe panels + layout.place(group: plane % group, unit: unit, panel: panel)
            unsafe withUnsafePointer(to: ck_finish.nothing) { finish in
                unsafe ck_pointwise(
                    Int32(own), channels, count, UnsafeRawPointer(source).assumingMemoryBound(to: Float.self),
                    fold.inputCount, weights, layout.panelRows,
                    UnsafeRawPointer(starts).assumingMemoryBound(to: Float.self), nil, finish,
                    UnsafeMutableRawPointer(products + panel * layout.panelRows * count)
                        .assumingMemoryBound(to: Float.self), count, nil)
            }
        }
    }
}
