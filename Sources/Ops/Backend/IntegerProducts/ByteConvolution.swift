import CKernels
import GraphRuntime

/// A convolution of int8 or uint8 without their zero points, as products of its windows with the weights (``ByteProduct``): pictures are
/// turned channels last, so that a window is a few runs of bytes.
struct ByteConvolution {
    let window: ConvolutionWindow
    /// Whether the input's elements lie channels last, whatever its shape says.
    var inputIsLast = false
    /// Whether the output's are to.
    var outputIsLast = false
    /// Padding stands for it.
    var inputZero: Int32 = 0
    /// One number, or one for each output channel.
    var weightZeros: [Int32] = [0]
    /// Added to the sums: one for each output channel, or none.
    var bias: [Int32] = []
    /// The weights as ``packed(_:_:zero:constants:)`` has them; nil where they aren't packed yet.
    var panels: Tensor?
    var form: Form
    /// What bytes of the result become, by their bits; empty where they stay.
    var table: [UInt8] = []

    /// What becomes of the sums.
    enum Form {
        case int32
        /// Times one number for each output channel, + bias, each operation rounded to float32, then an activation.
        case float32(scales: [Float], bias: Tensor?, ck_finish)
        /// Times one number for each output channel, rounded to integers within a range, + zero.
        case bytes(scales: [Float], ByteRange)

        /// The scales of output channels, where there are any.
        func scales(_ channels: Range<Int>) -> [Float] {
            switch self {
            case .int32: []
            case .float32(let scales, _, _), .bytes(let scales, _):
                scales.count == 1 ? Array(repeating: scales[0], count: channels.count) : Array(scales[channels])
            }
        }

        var bias: Tensor? {
            guard case .float32(_, let bias, _) = self else { return nil }
            return bias
        }

        var activation: ck_finish {
            guard case .float32(_, _, let activation) = self else { return .nothing }
            return activation
        }

        /// Where sums go.
        ///
        /// - Parameters:
        ///   - place: of the first one, in elements from `target` on.
        ///   - step: elements from one row of them to the next.
        ///   - bias: for each column, where the result is float32.
        func result(
            _ target: UnsafeMutableRawPointer, place: Int, step: Int, bias: UnsafePointer<Float>?
        ) -> ByteProduct.Result {
            switch self {
            case .int32: return unsafe .integers(target.assumingMemoryBound(to: Int32.self) + place, step: step)
            case .float32:
                return unsafe .floats(target.assumingMemoryBound(to: Float.self) + place, step: step, bias: bias, addend: nil)
            case .bytes(_, let range):
                return unsafe .bytes(target.assumingMemoryBound(to: UInt8.self) + place, step: step, range)
            }
        }
    }

    private var channels: Int { window.inputChannels / window.group }
    private var outputChannels: Int { window.outputChannels / window.group }

    /// How the weights [M, C / group, kernel…] are packed.
    private static func layout(_ window: ConvolutionWindow) -> BytePanels {
        BytePanels(
            depth: window.inputChannels / window.group * window.kernelCount, columns: window.outputChannels / window.group,
            isTransposed: true, count: window.group, taps: window.kernelCount)
    }

    /// The packed form of constant weights, made when a run first needs it; nil where it would be in memory twice.
    ///
    /// - Parameter zero: one number, or one for each output channel; nil for 0.
    /// - Throws: ``TensorError`` where the zero point isn't of bytes.
    static func packed(
        _ window: ConvolutionWindow, _ weights: Tensor, zero: Tensor?, constants: PackedConstants?
    ) throws(TensorError) -> PackedConstant? {
        guard let grouped = GroupedByteConvolution(window, form: .int32) else {
            return layout(window).packed(weights, constants: constants)
        }
        return grouped.weights.packed(weights, zeros: try ByteMatMul.integers(zero), constants: constants)
    }

    /// - Throws: ``TensorError`` where types or shapes don't fit, or there is no memory.
    func run(_ x: Tensor, _ w: Tensor, into output: MutableTensor, threads: ThreadPool) throws {
        for tensor in [x, w] where tensor.dtype != .int8 && tensor.dtype != .uint8 {
            throw TensorError("expected int8 or uint8, found \(tensor.dtype)")
        }
        guard window.input.count <= 3 else {
            throw TensorError("convolutions over \(window.input.count) axes aren't supported")
        }
        let pixels = window.batch * window.outputCount
        guard output.count == pixels * window.outputChannels,
            x.count == window.batch * window.inputChannels * window.inputCount
        else { throw TensorError("the convolution of \(x.shape) doesn't have shape \(output.shape)") }
        guard output.count > 0 else { return }
        let staysInput = inputIsLast || window.inputChannels == 1 || window.inputCount == 1
        let staysOutput = outputIsLast || window.outputChannels == 1 || window.outputCount == 1
        let inputBytes = staysInput ? 0 : (x.count + 63) / 64 * 64
        let source = unsafe x.start.assumingMemoryBound(to: UInt8.self)
        if let addend = form.bias, addend.count != window.outputChannels {
            throw TensorError("what is added doesn't have \(window.outputChannels) elements")
        }
        guard bias.isEmpty || bias.count == window.outputChannels else {
            throw TensorError("the bias doesn't have \(window.outputChannels) elements")
        }
        guard weightZeros.count == 1 || weightZeros.count == window.outputChannels else {
            throw TensorError("expected a zero point for each of \(window.outputChannels) channels of the weights")
        }
        if var grouped = GroupedByteConvolution(window, form: form) {
            (grouped.inputIsLast, grouped.outputIsLast) = (staysInput, staysOutput)
            (grouped.inputZero, grouped.bias, grouped.table) = (inputZero, bias, table)
            let packed = try panels ?? grouped.weights.pack(w, zeros: weightZeros)
            return try grouped.run(x, packed: packed, into: output, threads: threads)
        }
        let layout = Self.layout(window)
        let packed = try panels ?? layout.pack(w, threads: threads)
        unsafe try threads.withWorkspace(byteCount: inputBytes) { memory throws(TensorError) in
            var picture = unsafe source
            if !staysInput {
                let target = unsafe memory.assumingMemoryBound(to: UInt8.self)
                unsafe Self.transpose(
                    source, planes: window.batch, rows: window.inputChannels, columns: window.inputCount, target, threads)
                unsafe picture = unsafe UnsafePointer(target)
            }
            let planes = staysOutput ? nil : ByteProduct.Planes(size: window.outputCount, channels: window.outputChannels)
            for group in 0..<window.group {
                unsafe try run(
                    group, picture, layout, packed, shift: BytePanels.shift(w.dtype), isSigned: x.dtype == .int8, output.start,
                    planes, threads)
            }
        }
    }

    private func run(
        _ group: Int, _ picture: UnsafePointer<UInt8>, _ layout: BytePanels, _ packed: Tensor, shift: Int32, isSigned: Bool,
        _ target: UnsafeMutableRawPointer, _ planes: ByteProduct.Planes?, _ threads: ThreadPool
    ) throws(TensorError) {
        let range = group * outputChannels..<(group + 1) * outputChannels
        let first = unsafe picture + group * channels
        let right = unsafe try layout.matrix(group, of: packed)
        let floats = unsafe try form.bias?.pointer(to: Float.self).advanced(by: range.lowerBound)
        let left: ByteProduct.Left =
            unsafe window.isPointwise
            ? .matrix(first, step: window.inputChannels)
            : .windows(first, windows, zero: UInt8(truncatingIfNeeded: inputZero))
        unsafe try ByteProduct(
            m: window.batch * window.outputCount, n: outputChannels, k: layout.depth, leftIsSigned: isSigned, left: left,
            panels: right.panels, columnSums: right.sums, leftZeros: [inputZero],
            rightZeros: (weightZeros.count == 1 ? weightZeros[...] : weightZeros[range]).map { $0 &+ shift },
            offsets: bias.isEmpty ? [] : Array(bias[range]),
            scales: form.scales(range), table: table, activation: form.activation, planes: planes,
            result: form.result(
                target, place: range.lowerBound * (planes?.size ?? 1), step: window.outputChannels, bias: floats)
        ).run(threads: threads)
    }

    private var windows: ck_byte_windows {
        func three(_ values: [Int], _ missing: Int) -> (Int, Int, Int) {
            let all = Array(repeating: missing, count: 3 - values.count) + values
            return (all[0], all[1], all[2])
        }
        return ck_byte_windows(
            pixel_step: window.inputChannels, channels: channels,
            input: three(window.input, 1), kernel: three(window.kernel, 1), strides: three(window.strides, 1),
            dilations: three(window.dilations, 1), pads: three(window.padsBegin, 0), output: three(window.output, 1))
    }

    /// Columns of a part that is transposed: whole blocks, and few enough that its lines stay in the second-level cache.
    private static func transposedColumns(rows: Int, columns: Int) -> Int {
        max(min(columns, (256 << 10) / max(rows, 1) / 16 * 16), 16)
    }

    /// Planes of rows × columns bytes, each transposed.
    static func transpose(
        _ source: UnsafePointer<UInt8>, planes: Int, rows: Int, columns: Int, _ target: UnsafeMutablePointer<UInt8>,
        _ threads: ThreadPool
    ) {
        nonisolated(unsafe) let (source, target) = unsafe (source, target)
        let step = transposedColumns(rows: rows, columns: columns)
        let parts = (columns + step - 1) / step
        threads.forEach(planes * parts) { index in
            let first = index % parts * step
            let plane = index / parts * rows * columns
            unsafe ck_transpose_bytes(
                source + plane + first, columns, rows, min(step, columns - first), target + plane + first * rows, rows)
        }
    }
}
