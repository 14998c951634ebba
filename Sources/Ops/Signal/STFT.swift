import GraphRuntime

/// ONNX STFT-17: the Fourier transforms of windows that slide over a signal [batch, length, 1 or 2]; gives [batch, frames, bins, 2].
/// A real signal may also be [batch, length], which the standard doesn't say, but ONNX Runtime allows and exports of speech models use.
struct STFT: Operator {
    let isOneSided: Bool

    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    /// The numbers of each element of a signal: 2 where it is complex.
    private func parts(of signal: Shape) throws -> Int {
        if signal.rank == 2 { return 1 }
        guard signal.rank == 3, signal[2] == 1 || signal[2] == 2 else {
            throw TensorError(
                "expected a signal of shape [batch, length], [batch, length, 1] or [batch, length, 2], found \(signal)")
        }
        return signal[2]
    }

    private func output(_ signal: Shape, step: Int, length: Int) throws -> Shape {
        let isReal = try parts(of: signal) == 1
        guard !isOneSided || isReal else { throw TensorError("one-sided, the signal should be real, found \(signal)") }
        guard step > 0, (1...max(signal[1], 1)).contains(length) else {
            throw TensorError("frames of \(length) by steps of \(step) don't fit a signal of \(signal[1])")
        }
        let frames = signal[1] < length ? 0 : (signal[1] - length) / step + 1
        return try Shape([signal[0], frames, isOneSided ? length / 2 + 1 : length, 2])
    }

    /// The length of a frame: that of the window, the input `frame_length`, or the whole signal.
    private func frameLength(_ signal: Shape, window: Shape?, given: Int?) throws -> Int {
        if let window {
            guard window.rank == 1, given == nil || given == window[0] else {
                throw TensorError("a window of shape \(window) doesn't fit frames of \(given ?? 0)")
            }
            return window[0]
        }
        return given ?? (signal.rank > 1 ? signal[1] : 0)
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let signal = try inputs[0]
        if let dtype = signal.dtype, !dtype.isFloat { throw TensorError("expected floating-point numbers, found \(dtype)") }
        let (window, frame) = (inputs.optional(2), inputs.optional(3))
        guard let shape = signal.shape, let step = try inputs[1].tensor, window == nil || window?.shape != nil,
            frame == nil || frame?.tensor != nil
        else { return [Fact(dtype: signal.dtype)] }
        let length = try frameLength(shape, window: window?.shape, given: frame?.tensor?.integer("frame_length"))
        return [Fact(dtype: signal.dtype, shape: try output(shape, step: step.integer("frame_step"), length: length))]
    }

    func run(_ context: inout RunContext) throws {
        let signal = try context.input(0)
        let step = try context.input(1).integer("frame_step")
        let window = try context.optionalInput(2)
        let length = try frameLength(
            signal.shape, window: window?.shape, given: context.optionalInput(3)?.integer("frame_length"))
        let shape = try output(signal.shape, step: step, length: length)
        let transform = try FourierTransform(length: length, sign: -1)
        let weights = try window.map { try NormalizationArguments.doubles($0) }
        let output = try context.output(0)
        let parts = try parts(of: signal.shape)
        func compute<Element: NumericElement & BinaryFloatingPoint>(_ type: Element.Type) throws {
            let source = try signal.view(of: type)
            let (frames, bins) = (shape[1], shape[2])
            let grain = max((1 << 14) / max(length, 1), 1)
            try output.forEachSlice(of: type, unit: bins * 2, grain: grain, threads: context.threads) { range, target in
                var values = [FourierTransform.Complex](repeating: .zero, count: length)
                for (index, frame) in range.enumerated() {
                    let start = frame / frames * signal.shape[1] + frame % frames * step
                    for n in 0..<length {
                        let place = (start + n) * parts
                        values[n] =
                            .init(source[place].double, parts == 2 ? source[place + 1].double : 0) * (weights?[n] ?? 1)
                    }
                    transform(&values)
                    for n in 0..<bins {
                        target[(index * bins + n) * 2] = .converting(values[n].x)
                        target[(index * bins + n) * 2 + 1] = .converting(values[n].y)
                    }
                }
            }
        }
        try output.dtype == .float64 ? compute(Double.self) : compute(Float.self)
    }

    static let definition = OperatorDefinition("STFT", since: 17) { decoder in
        try decoder.requireInputs(2...4)
        return STFT(isOneSided: try decoder.bool("onesided", default: true))
    }
}
