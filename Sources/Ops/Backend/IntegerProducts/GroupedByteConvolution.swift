import CKernels
import GraphRuntime

/// A convolution of bytes in groups of few channels, one among them, where unfolded windows would be products too small for panels.
///
/// A task copies the pixels that a strip of output rows reads, channels last and with a border of the zero point; the kernels of
/// grouped_bytes.h pass over it.
struct GroupedByteConvolution {
    let window: ConvolutionWindow
    let weights: GroupedByteWeights
    /// Whether the input's, and the output's, elements lie channels last, whatever its shape says.
    var inputIsLast = false
    var outputIsLast = false
    /// Of the input, which padding stands for.
    var inputZero: Int32 = 0
    /// Added to the sums: one for each output channel, or none.
    var bias: [Int32] = []
    var form: ByteConvolution.Form
    /// What bytes of the result become, by their bits; empty where they stay.
    var table: [UInt8] = []

    private let input: [Int]
    private let kernel: [Int]
    private let strides: [Int]
    private let dilations: [Int]
    private let pads: [Int]
    private let output: [Int]
    private let pixelStep: Int
    /// Pixels of a row with its border.
    private let width: Int

    /// Bytes of a strip that stay in the second-level cache, and those of one row of windows beyond which other kernels take less memory.
    private static let (stripBytes, largestStrip) = (256 << 10, 16 << 20)
    /// Bytes of sums, and channels whose weights, that stay in the first-level cache.
    private static let (sumsBytes, channelsAtOnce) = (16 << 10, 4 * Int(CK_GROUPED_BLOCK))
    /// Multiplications below which threads aren't worth waking.
    private static let leastSharedWork = 1 << 17

    /// - Returns: nil where the convolution isn't of this kind.
    init?(_ window: ConvolutionWindow, form: ByteConvolution.Form) {
        guard window.input.count <= 3, let weights = GroupedByteWeights(window) else { return nil }
        func three(_ values: [Int], _ missing: Int) -> [Int] { Array(repeating: missing, count: 3 - values.count) + values }
        (self.window, self.weights, self.form) = (window, weights, form)
        (input, kernel, output) = (three(window.input, 1), three(window.kernel, 1), three(window.output, 1))
        (strides, dilations) = (three(window.strides, 1), three(window.dilations, 1))
        pads = three(window.padsBegin, 0)
        pixelStep = GroupedByteWeights.padded(window.inputChannels)
        var windows = weights.windows
        let shared = Int(windows.positions)
        let positions = Double((output[2] + shared - 1) / shared * shared - shared) * Double(strides[2])
        let width = unsafe positions + Double(ck_grouped_taps_read(&windows) - 1) * Double(dilations[2]) + 1
        let rows = Double(kernel[0]) * (Double(kernel[1] - 1) * Double(dilations[1]) + 1)
        guard width * rows * Double(pixelStep) <= Double(Self.largestStrip) else { return nil }
        self.width = Int(width)
    }

    /// Rows of the input along the second axis that so many rows of the output read.
    private func inputRows(_ rows: Int) -> Int { (rows - 1) * strides[1] + (kernel[1] - 1) * dilations[1] + 1 }

    private func stripBytes(rows: Int) -> Int { kernel[0] * inputRows(rows) * width * pixelStep }

    /// Rows of the output that a task computes.
    private func stripRows(threads: Int) -> Int {
        let planes = window.batch * output[0]
        let work = Double(window.batch) * Double(window.outputCount) * Double(window.outputChannels)
        let isShared = work * Double(window.kernelCount * window.inputChannels / window.group) >= Double(Self.leastSharedWork)
        let wanted = isShared ? max(2 * threads / max(planes, 1), 1) : 1
        var rows = (output[1] + wanted - 1) / wanted
        while rows > 1, stripBytes(rows: rows) > Self.stripBytes { rows = (rows + 1) / 2 }
        return max(rows, 1)
    }

    /// - Parameters:
    ///   - x: of int8 or uint8.
    ///   - packed: the weights as ``weights`` has them.
    /// - Throws: ``TensorError`` where there is no memory to work in.
    func run(_ x: Tensor, packed: Tensor, into output: MutableTensor, threads: ThreadPool) throws(TensorError) {
        let strip = try Strip(self, x, packed, output, rows: stripRows(threads: threads.threadCount))
        let strips = (self.output[1] + strip.rows - 1) / strip.rows
        unsafe try threads.forEach(window.batch * self.output[0] * strips, scratchBytes: strip.scratchBytes) { index, scratch in
            let first = index % strips * strip.rows
            unsafe strip.compute(
                plane: index / strips, rows: first..<min(first + strip.rows, self.output[1]), scratch)
        }
    }

    /// What all tasks share, and how one is computed.
    @safe
    private struct Strip: @unchecked Sendable {
        let convolution: GroupedByteConvolution
        let rows: Int
        private let x: UnsafePointer<UInt8>
        private let target: UnsafeMutableRawPointer
        private let form: Int32
        private let packed: UnsafePointer<UInt8>
        private let flip: UInt8
        /// What padding is for the kernels, whose bytes have no sign.
        private let zero: UInt8
        private let offsets: [Int32]
        private let scales: [Float]
        private let floats: UnsafePointer<Float>?
        /// Positions and channels whose sums are computed at a time.
        private let positions: Int
        private let channels: Int
        private let stripBytes: Int
        private let turnedBytes: Int
        private let resultBytes: Int
        private let elementSize: Int

        init(_ convolution: GroupedByteConvolution, _ x: Tensor, _ packed: Tensor, _ output: MutableTensor, rows: Int)
            throws(TensorError)
        {
            self.convolution = convolution
            self.rows = rows
            let (window, windows) = (convolution.window, convolution.weights.windows)
            unsafe self.x = unsafe x.start.assumingMemoryBound(to: UInt8.self)
            unsafe target = unsafe output.start
            let parts = unsafe try convolution.weights.parts(of: packed)
            unsafe (form, self.packed) = unsafe (parts.form, parts.weights)
            flip = x.dtype == .int8 ? 0x80 : 0
            let zero = x.dtype == .int8 ? convolution.inputZero &+ 128 : convolution.inputZero
            self.zero = UInt8(truncatingIfNeeded: zero)
            var offsets = convolution.bias.isEmpty ? [Int32](repeating: 0, count: window.outputChannels) : convolution.bias
            for channel in offsets.indices { offsets[channel] &-= unsafe zero &* parts.sums[channel] }
            self.offsets = offsets
            scales = convolution.form.scales(0..<window.outputChannels)
            unsafe floats = unsafe try convolution.form.bias?.pointer(to: Float.self)
            channels = min(windows.channels, GroupedByteConvolution.channelsAtOnce)
            let perPosition = channels * MemoryLayout<Int32>.stride
            let multiple = convolution.weights.windows.group_channels == 1 ? Int(windows.positions) : 8
            positions = max(GroupedByteConvolution.sumsBytes / perPosition / multiple, 1) * multiple
            elementSize = output.dtype.bitWidth / 8
            func whole(_ bytes: Int) -> Int { (bytes + 127) / 64 * 64 }
            // The kernels read up to 64 bytes behind the last pixel.
            stripBytes = whole(convolution.stripBytes(rows: rows))
            let inputRows = min(convolution.inputRows(rows), convolution.input[1])
            turnedBytes = convolution.inputIsLast ? 0 : whole(inputRows * convolution.input[2] * convolution.pixelStep)
            let pixels = rows * convolution.output[2]
            resultBytes = convolution.outputIsLast ? 0 : whole(pixels * window.outputChannels * elementSize)
        }

        var scratchBytes: Int {
            stripBytes + turnedBytes + resultBytes + positions * convolution.weights.windows.channels
                * MemoryLayout<Int32>.stride
        }

        /// - Parameters:
        ///   - plane: of pictures and their output's first axis.
        ///   - rows: of the output.
        func compute(plane: Int, rows: Range<Int>, _ scratch: UnsafeMutableRawPointer) {
            let strip = unsafe scratch.assumingMemoryBound(to: UInt8.self)
            let turned = unsafe strip + stripBytes
            let result = unsafe scratch + stripBytes + turnedBytes
            let sums = unsafe (result + resultBytes).assumingMemoryBound(to: Int32.self)
            let (window, kernel, output) = (convolution.window, convolution.kernel, convolution.output)
            let inputRows = convolution.inputRows(rows.count)
            let rowBytes = convolution.width * convolution.pixelStep
            var rowOffsets: [Int] = []
            for depth in 0..<kernel[0] {
                unsafe fill(strip + depth * inputRows * rowBytes, plane: plane, depth: depth, rows: rows, turned)
                for row in 0..<kernel[1] { rowOffsets.append((depth * inputRows + row * convolution.dilations[1]) * rowBytes) }
            }
            var windows = convolution.weights.windows
            let place = plane * output[1] + rows.lowerBound
            let target =
                unsafe convolution.outputIsLast ? target + place * output[2] * window.outputChannels * elementSize : result
            for first in stride(from: 0, to: windows.channels, by: channels) {
                let channels = min(channels, windows.channels - first)
                let named = first..<min(first + channels, window.outputChannels)
                for row in 0..<rows.count {
                    for column in stride(from: 0, to: output[2], by: positions) {
                        let count = min(positions, output[2] - column)
                        let x = unsafe strip + row * convolution.strides[1] * rowBytes + column * windows.position_step
                        unsafe ck_grouped_sums(form, &windows, x, rowOffsets, packed, first, channels, count, sums, channels)
                        unsafe finish(sums, step: channels, named, count, target, position: row * output[2] + column)
                    }
                }
            }
            if !convolution.outputIsLast { unsafe turn(result, plane: plane, rows: rows) }
        }

        /// The pixels of one plane of the input, with a border.
        private func fill(
            _ strip: UnsafeMutablePointer<UInt8>, plane: Int, depth: Int, rows: Range<Int>,
            _ turned: UnsafeMutablePointer<UInt8>
        ) {
            let (window, input, pads) = (convolution.window, convolution.input, convolution.pads)
            let (pixelStep, width, channels) = (convolution.pixelStep, convolution.width, window.inputChannels)
            let slice = plane % convolution.output[0] * convolution.strides[0] - pads[0] + depth * convolution.dilations[0]
            let first = rows.lowerBound * convolution.strides[1] - pads[1]
            let count = convolution.inputRows(rows.count)
            let rowBytes = width * pixelStep
            let seen = max(first, 0)..<max(min(first + count, input[1]), max(first, 0))
            guard (0..<input[0]).contains(slice), !seen.isEmpty else {
                return unsafe strip.update(repeating: zero, count: count * rowBytes)
            }
            let picture = plane / convolution.output[0] * channels * window.inputCount
            let (planeSize, pixels) = (input[1] * input[2], seen.count * input[2])
            let start = (slice * input[1] + seen.lowerBound) * input[2]
            var source = unsafe x + picture + start * channels
            var sourceStep = channels
            if !convolution.inputIsLast {
                unsafe ck_transpose_bytes(
                    x + picture + start, input[0] * planeSize, channels, pixels, turned, pixelStep)
                unsafe source = unsafe UnsafePointer(turned)
                sourceStep = pixelStep
            }
            let before = min(pads[2], width)
            let inside = max(min(input[2], width - before), 0)
            let after = width - before - inside
            for row in 0..<count {
                let target = unsafe strip + row * rowBytes
                guard seen.contains(first + row) else {
                    unsafe target.update(repeating: zero, count: rowBytes)
                    continue
                }
                let pixels = unsafe source + (first + row - seen.lowerBound) * input[2] * sourceStep
                unsafe target.update(repeating: zero, count: before * pixelStep)
                let place = unsafe target + before * pixelStep
                if sourceStep == pixelStep {
                    unsafe ck_copy_byte_rows(pixels, 0, inside * pixelStep, 1, flip, place, inside * pixelStep / 4)
                } else {
                    unsafe ck_copy_byte_rows(pixels, sourceStep, channels, inside, flip, place, pixelStep / 4)
                }
                unsafe (place + inside * pixelStep).update(repeating: zero, count: after * pixelStep)
            }
        }

        /// What becomes of the sums of some channels at `count` positions.
        private func finish(
            _ sums: UnsafeMutablePointer<Int32>, step: Int, _ channels: Range<Int>, _ count: Int,
            _ target: UnsafeMutableRawPointer, position: Int
        ) {
            let first = channels.lowerBound
            unsafe offsets.withUnsafeBufferPointer { offsets in
                unsafe scales.withUnsafeBufferPointer { scales in
                    let terms = unsafe ck_zero_terms(
                        offsets: offsets.baseAddress.map { unsafe $0 + first }, row_zeros: nil, column_terms: nil,
                        row_sums: nil, column_zeros: nil)
                    let scaling = unsafe ck_sum_scales(
                        rows: nil, columns: scales.isEmpty ? nil : scales.baseAddress.map { unsafe $0 + first }, bias: nil,
                        addend: nil, finish: convolution.form.activation)
                    let size = convolution.window.outputChannels
                    let result = unsafe convolution.form.result(
                        target, place: position * size + first, step: size, bias: floats.map { unsafe $0 + first })
                    unsafe result.write(
                        sums, step: step, terms, rows: count, columns: channels.count, scaling, table: convolution.table)
                }
            }
        }

        /// Rows of the output, which lie channels last, in the order of its shape.
        private func turn(_ result: UnsafeMutableRawPointer, plane: Int, rows: Range<Int>) {
            let (output, channels) = (convolution.output, convolution.window.outputChannels)
            let (planeSize, pixels) = (output[0] * output[1] * output[2], rows.count * output[2])
            let place =
                plane / output[0] * channels * planeSize
                + (plane % output[0] * output[1] + rows.lowerBound) * output[2]
            if elementSize == 1 {
                unsafe ck_transpose_bytes(
                    result.assumingMemoryBound(to: UInt8.self), channels, pixels, channels,
                    target.assumingMemoryBound(to: UInt8.self) + place, planeSize)
            } else {
                unsafe ck_transpose_words(
                    result.assumingMemoryBound(to: UInt32.self), channels, pixels, channels,
                    target.assumingMemoryBound(to: UInt32.self) + place, planeSize)
            }
        }
    }
}
