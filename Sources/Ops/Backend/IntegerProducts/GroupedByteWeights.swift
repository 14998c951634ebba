import CKernels
import GraphRuntime

/// The weights of a convolution of bytes in groups of few channels, less their zero points, as the kernels of grouped_bytes.h read them.
struct GroupedByteWeights {
    /// What one row of positions reads.
    let windows: ck_grouped_windows
    private let outputs: Int

    private static let channelMultiple = Int(CK_GROUPED_CHANNELS)
    /// Bytes before the sums of each output channel's weights, which the packed weights follow.
    private static let headerBytes = 64

    /// Channels, with those that fill the last vector.
    static func padded(_ channels: Int) -> Int { (channels + channelMultiple - 1) / channelMultiple * channelMultiple }

    /// - Returns: nil where the groups have more channels than such kernels take, or are faster as products each.
    init?(_ window: ConvolutionWindow) {
        guard window.group > 1, window.outputChannels > 0, window.inputChannels > 0 else { return nil }
        let (channels, outputs) = (window.inputChannels / window.group, window.outputChannels / window.group)
        // Whole panels are products' own.
        guard outputs < BytePanels.width, ck_grouped_fits(window.outputChannels, channels, outputs) != 0 else { return nil }
        self.outputs = window.outputChannels
        let (stride, dilation) = (window.strides[window.strides.count - 1], window.dilations[window.dilations.count - 1])
        let taps = window.kernel[window.kernel.count - 1]
        guard taps > 0, window.kernelCount > 0 else { return nil }
        let pixelStep = Self.padded(window.inputChannels)
        windows = ck_grouped_windows(
            channels: Self.padded(window.outputChannels), group_channels: channels, group_outputs: outputs,
            rows: window.kernelCount / taps, taps: taps,
            positions: channels == 1 ? ck_depthwise_positions(taps, stride, dilation) : 1, tap_step: dilation * pixelStep,
            position_step: stride * pixelStep)
    }

    /// The packed form: a header with the kernels' form, the sums of each output channel's weights, the weights.
    ///
    /// - Throws: ``TensorError`` where there is no memory for it, or where the tensor or the zero points have other elements.
    func pack(_ weights: Tensor, zeros: [Int32]) throws(TensorError) -> Tensor {
        let numbers = try ByteMatMul.integers(weights)
        let size = windows.group_channels * windows.rows * windows.taps
        guard numbers.count == outputs * size, zeros.count == 1 || zeros.count == outputs else {
            throw TensorError("\(numbers.count) weights and \(zeros.count) zero points don't fit \(outputs) output channels")
        }
        var differences = [Int16](repeating: 0, count: numbers.count)
        var sums = [Int32](repeating: 0, count: windows.channels)
        for output in 0..<outputs {
            let zero = zeros[zeros.count == 1 ? 0 : output]
            for index in output * size..<(output + 1) * size {
                let difference = numbers[index] &- zero
                differences[index] = Int16(truncatingIfNeeded: difference)
                sums[output] &+= difference
            }
        }
        let fitsInBytes = differences.allSatisfy { Int16(Int8.min)...Int16(Int8.max) ~= $0 }
        let form = ck_grouped_form(fitsInBytes ? 1 : 0)
        let result = try MutableTensor(dtype: .uint8, shape: Shape([byteCount(form)]))
        let target = unsafe result.start
        unsafe target.initializeMemory(as: UInt8.self, repeating: 0, count: Self.headerBytes)
        unsafe target.storeBytes(of: form, as: Int32.self)
        let sumsBytes = sums.count * MemoryLayout<Int32>.stride
        unsafe (target + Self.headerBytes).copyMemory(from: sums, byteCount: sumsBytes)
        var windows = windows
        unsafe ck_pack_grouped_weights(
            form, &windows, differences, outputs, (target + Self.headerBytes + sumsBytes).assumingMemoryBound(to: UInt8.self))
        return try result.finish()
    }

    private func byteCount(_ form: Int32) -> Int {
        var windows = windows
        return unsafe Self.headerBytes + windows.channels * MemoryLayout<Int32>.stride + ck_grouped_weights_size(form, &windows)
    }

    /// The packed form of a constant, made when a run first needs it; nil where it would be in memory twice.
    func packed(_ weights: Tensor, zeros: [Int32], constants: PackedConstants?) -> PackedConstant? {
        guard weights.count > 0, weights.dtype == .int8 || weights.dtype == .uint8 else { return nil }
        let zeros = Set(zeros).count == 1 ? [zeros[0]] : zeros
        let form =
            "groups of bytes, \(windows.group_channels) channels and \(windows.group_outputs) outputs, \(windows.rows)×\(windows.taps)"
            + " taps, \(windows.positions) positions, form \(ck_grouped_form(1)), less \(zeros)"
        return constants?.constant(weights, form: form) { [self] weights, _ throws(TensorError) in
            try pack(weights, zeros: zeros)
        }
    }

    /// The parts of a packed form.
    ///
    /// - Throws: ``TensorError`` where the tensor isn't such a form.
    @unsafe
    func parts(of packed: Tensor) throws(TensorError) -> (
        form: Int32, sums: UnsafePointer<Int32>, weights: UnsafePointer<UInt8>
    ) {
        let form = unsafe packed.byteCount < Self.headerBytes ? -1 : packed.start.load(as: Int32.self)
        guard Int(form) == CK_GROUPED_PAIRS || Int(form) == CK_GROUPED_BYTES, packed.byteCount == byteCount(form) else {
            throw TensorError("packed weights don't have the \(outputs) output channels of a convolution in groups")
        }
        let sums = unsafe (packed.start + Self.headerBytes).assumingMemoryBound(to: Int32.self)
        let weights = unsafe UnsafeRawPointer(sums + windows.channels).assumingMemoryBound(to: UInt8.self)
        return unsafe (form, sums, weights)
    }
}
