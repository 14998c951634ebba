import CKernels
import GraphRuntime

/// Convolutions of 1×1 kernels: panels of the weights are multiplied with the pixels where they lie, see `pointwise.h`.
struct PointwiseConvolution {
    private let planes: Int
    private let groups: Int
    private let channels: Int
    private let pixels: Int
    private let layout: RowPanelLayout

    /// Pixels of a tile at most.
    private static let lanes = 32
    /// Floats of all channels of a plane that the second-level cache keeps beside panels of weights, and of a strip's where they are more.
    private static let (keptFloats, stripFloats) = (256 << 10, 96 << 10)
    /// The same of a strip where weights are more than that cache keeps: the fewer strips, the fewer times they are read.
    private static let (keptWeights, longStripFloats) = (512 << 10, 512 << 10)
    /// Pixels of a plane from which on the channels of a strip are copied to lie together, and panels of weights that this has to be worth:
    /// where they lie, each has a page of its own, and often all have the same few sets of the caches.
    private static let (copiedPixels, leastPanels) = (2048, 8)
    /// Operations below which threads aren't worth waking.
    private static let leastSharedWork = 6e5

    /// - Parameter layout: of the weights.
    init(_ window: ConvolutionWindow, _ layout: RowPanelLayout) {
        (planes, groups, pixels) = (window.batch * window.group, window.group, window.outputCount)
        channels = window.inputChannels / window.group
        self.layout = layout
    }

    /// How the work is cut: tiles of pixels of a strip, strips of a plane, and parts of the panels of weights.
    private func cut(threads: Int) -> (tiles: Int, strips: Int, parts: Int) {
        let tiles = (pixels + Self.lanes - 1) / Self.lanes
        let isHeavy = layout.rows * channels > Self.keptWeights
        let floats = channels * pixels
        let fitting = isHeavy ? Self.longStripFloats : Self.stripFloats
        var strips = floats <= Self.keptFloats ? 1 : (floats + fitting - 1) / fitting
        var parts = 1
        let work = 2 * Double(floats) * Double(layout.rows) * Double(planes)
        if threads > 1, work >= Self.leastSharedWork {
            // Several tasks for each thread, so that none waits long for the last one.
            let wanted = (4 * threads + planes - 1) / planes
            func most(_ count: Int, of smallest: Int) -> Int { min(count, max(tiles / smallest, 1)) }
            if strips == 1 {
                parts = min(layout.panels, wanted)
                if parts * planes < 2 * threads || parts % threads != 0 { strips = most((wanted + parts - 1) / parts, of: 3) }
            } else if strips < wanted {
                strips = max(strips, most(wanted, of: 4))
                parts = min(layout.panels, (wanted + strips - 1) / strips)
            }
        }
        let size = (tiles + strips - 1) / strips
        return (size, (tiles + size - 1) / size, parts)
    }

    /// - Parameters:
    ///   - source: [pictures, groups, channels, pixels].
    ///   - weights: as the layout has them.
    ///   - starts: [groups, outputs]; nil for zeros.
    ///   - target: [pictures, groups, outputs, pixels].
    /// - Throws: ``TensorError`` where there is no memory for a few numbers of each thread.
    func run(
        _ source: UnsafePointer<Float>, _ weights: UnsafePointer<Float>, starts: UnsafePointer<Float>?,
        _ epilogue: ConvolutionEpilogue, into target: UnsafeMutablePointer<Float>, threads: ThreadPool
    ) throws(TensorError) {
        let cut = cut(threads: threads.threadCount)
        let inRegisters = unsafe epilogue.inRegisters
        let finish = unsafe inRegisters?.finish ?? ck_finish.nothing
        nonisolated(unsafe) let residual = unsafe inRegisters?.residual
        nonisolated(unsafe) let (source, weights, starts, target) = unsafe (source, weights, starts, target)
        let (layout, channels, pixels) = (layout, channels, pixels)
        let isFinished = unsafe inRegisters != nil
        let tasks = planes * cut.strips * cut.parts
        let copies = cut.strips > 1 && pixels >= Self.copiedPixels && layout.panels / cut.parts >= Self.leastPanels
        let copiedFloats = copies ? channels * (cut.tiles * Self.lanes + 16) : 0
        let scratchBytes = (copiedFloats + layout.panelRows) * MemoryLayout<Float>.stride
        unsafe try threads.forEach(tasks, scratchBytes: scratchBytes) { task, scratch in
            let strip = unsafe scratch.assumingMemoryBound(to: Float.self)
            let panelStarts = unsafe strip + copiedFloats
            let part = task % cut.parts
            let first = task / cut.parts % cut.strips * cut.tiles * Self.lanes
            let count = min(cut.tiles * Self.lanes, pixels - first)
            let plane = task / cut.parts / cut.strips
            let group = plane % groups
            var (input, step) = unsafe (source + plane * channels * pixels + first, pixels)
            if copies {
                step = count % 1024 == 0 ? count + 16 : count
                for channel in 0..<channels {
                    unsafe (strip + channel * step).update(from: input + channel * pixels, count: count)
                }
                unsafe input = UnsafePointer(strip)
            }
            let panels = layout.panels * part / cut.parts..<layout.panels * (part + 1) / cut.parts
            for panel in panels {
                let row = panel * layout.panelRows
                let rows = min(layout.panelRows, layout.rows - row)
                for index in 0..<rows { unsafe panelStarts[index] = unsafe starts?[group * layout.rows + row + index] ?? 0 }
                let place = (plane * layout.rows + row) * pixels + first
                let own = unsafe weights + layout.place(group: group, panel: panel)
                let ahead = unsafe panel + 1 < panels.upperBound ? weights + layout.place(group: group, panel: panel + 1) : nil
                unsafe withUnsafePointer(to: finish) { finish in
                    unsafe ck_pointwise(
                        Int32(rows), channels, count, input, step, own, layout.panelRows, panelStarts,
                        residual.map { unsafe $0 + place }, finish, target + place, pixels, ahead)
                }
                guard !isFinished else { continue }
                for index in 0..<rows {
                    unsafe epilogue.apply(
                        target + place + index * pixels, count: count, place: place + index * pixels)
                }
            }
        }
    }
}
