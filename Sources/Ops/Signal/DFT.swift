import GraphRuntime

/// ONNX DFT (17, 20): the Fourier transform along one axis of [..., 1] real or [..., 2] complex numbers.
struct DFT: Operator {
    let isInverse: Bool
    let isOneSided: Bool
    /// Where it is an attribute (17); an input (20) otherwise, -2 by default.
    let axis: Int?

    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    private struct Problem {
        let axis: Int
        let length: Int
        let output: Shape
    }

    /// - Parameter length: the input `dft_length`, where given.
    private func problem(_ shape: Shape, axis given: Int, length: Int?) throws -> Problem {
        guard shape.rank >= 2, let parts = shape.dimensions.last, parts == 1 || parts == 2 else {
            throw TensorError("expected a signal of shape [..., 1] or [..., 2], found \(shape)")
        }
        let axis = try shape.axis(given)
        guard axis < shape.rank - 1 else { throw TensorError("axis \(given) holds the real and imaginary parts of \(shape)") }
        if isOneSided, parts != (isInverse ? 2 : 1) {
            throw TensorError(
                "one-sided, the \(isInverse ? "inverse takes complex" : "transform takes real") signals, found \(shape)")
        }
        let extent = shape[axis]
        let length = length ?? (isOneSided && isInverse ? max(2 * (extent - 1), 0) : extent)
        guard length >= 1 else { throw TensorError("dft_length should be 1 or more, found \(length)") }
        let isHalf = isOneSided && !isInverse
        var output = try shape.replacing(axis, with: isHalf ? length / 2 + 1 : length).dimensions
        output[shape.rank - 1] = isOneSided && isInverse ? 1 : 2
        return Problem(axis: axis, length: length, output: try Shape(output))
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let signal = try inputs[0]
        if let dtype = signal.dtype, !dtype.isFloat { throw TensorError("expected floating-point numbers, found \(dtype)") }
        guard let shape = signal.shape, let length = try known(inputs, 1), let axis = try known(inputs, 2) else {
            return [Fact(dtype: signal.dtype)]
        }
        return [Fact(dtype: signal.dtype, shape: try problem(shape, axis: self.axis ?? axis ?? -2, length: length).output)]
    }

    /// `.some(nil)` where the input isn't given, nil where it isn't known yet.
    private func known(_ inputs: InferenceInputs, _ index: Int) throws -> Int?? {
        guard let fact = inputs.optional(index) else { return .some(nil) }
        return try fact.tensor.map { try $0.integer(index == 1 ? "dft_length" : "axis") }
    }

    func run(_ context: inout RunContext) throws {
        let signal = try context.input(0)
        let problem = try problem(
            signal.shape, axis: axis ?? context.optionalInput(2)?.integer("axis") ?? -2,
            length: context.optionalInput(1)?.integer("dft_length"))
        let transform = try FourierTransform(length: problem.length, sign: isInverse ? 1 : -1)
        let output = try context.output(0)
        if output.dtype == .float64 {
            try run(signal, transform, problem, Double.self, into: output, threads: context.threads)
        } else {
            try run(signal, transform, problem, Float.self, into: output, threads: context.threads)
        }
    }

    private func run<Element: NumericElement & BinaryFloatingPoint>(
        _ signal: Tensor, _ transform: FourierTransform, _ problem: Problem, _ type: Element.Type,
        into output: MutableTensor, threads: ThreadPool
    ) throws {
        let source = try signal.view(of: type)
        let (shape, last) = (signal.shape, signal.shape.rank - 1)
        let (parts, outputParts) = (shape[last], output.shape[last])
        let inner = shape.count(problem.axis + 1..<last)
        let (extent, count, length) = (shape[problem.axis], output.shape[problem.axis], problem.length)
        let (isInverse, isOneSided) = (isInverse, isOneSided)
        let grain = max((1 << 14) / max(length, 1), 1)
        try output.forEachLine(
            of: type, count: count, inner: inner, parts: outputParts, grain: grain, threads: threads
        ) { line, target in
            var values = [FourierTransform.Complex](repeating: .zero, count: length)
            let (block, column) = (line / inner, line % inner)
            for n in 0..<length {
                guard n < extent else {
                    values[n] = .zero
                    continue
                }
                let place = ((block * extent + n) * inner + column) * parts
                values[n] = .init(source[place].double, parts == 2 ? source[place + 1].double : 0)
            }
            // The other half of a real signal's spectrum: its conjugate, mirrored.
            if isOneSided && isInverse {
                for n in length / 2 + 1..<max(length, length / 2 + 1) {
                    values[n] = .init(values[length - n].x, -values[length - n].y)
                }
            }
            transform(&values)
            let scale = isInverse ? 1 / Double(length) : 1
            for n in 0..<count {
                target[n] = .converting(values[n].x * scale)
                if outputParts == 2 { target[n, part: 1] = .converting(values[n].y * scale) }
            }
        }
    }

    static let definitions = OperatorDefinition.all("DFT", since: [17, 20]) { decoder in
        try decoder.requireInputs(1...(decoder.version < 20 ? 2 : 3))
        return DFT(
            isInverse: try decoder.bool("inverse", default: false), isOneSided: try decoder.bool("onesided", default: false),
            axis: decoder.version < 20 ? try decoder.int("axis", default: 1) : nil)
    }
}
