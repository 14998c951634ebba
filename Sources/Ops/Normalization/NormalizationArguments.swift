import GraphRuntime

/// Checks and conversions that the normalisations share.
enum NormalizationArguments {
    /// - Throws: ``TensorError`` where a known type isn't a floating-point one that a normalisation takes.
    static func requireFloatingPoint(_ fact: Fact, _ name: String) throws(TensorError) {
        switch fact.dtype {
        case nil, .float32, .float64, .float16, .bfloat16: return
        case let other?: throw TensorError("\(name) should be of a floating-point type, found \(other)")
        }
    }

    /// - Throws: ``TensorError`` where a known shape holds another number of elements.
    static func requireCount(_ fact: Fact, _ count: Int, _ name: String) throws(TensorError) {
        guard let shape = fact.shape, shape.count != count else { return }
        throw TensorError("\(name) should have \(count) elements, found shape \(shape)")
    }

    /// - Parameter mayBeNegative: whether a negative number is taken, as Paddle's converter writes it and ONNX Runtime takes it.
    /// - Throws: ``TensorError`` where it isn't a finite number, or is negative and mustn't be.
    static func requireEpsilon(_ epsilon: Float, mayBeNegative: Bool = false) throws(TensorError) -> Double {
        guard epsilon.isFinite, mayBeNegative || epsilon >= 0 else {
            throw TensorError("attribute epsilon should be a number\(mayBeNegative ? "" : " of 0 or more"), found \(epsilon)")
        }
        return Double(epsilon)
    }

    /// stash_type names the type that the first stage computes in; float32 and float64 cover all others.
    static func requireStashType(_ decoder: inout NodeDecoder) throws(TensorError) {
        guard let type = try decoder.optionalDType("stash_type"), type != .float32 else { return }
        throw TensorError("attribute stash_type should be float32 (1), found \(type)")
    }

    /// The elements as doubles: for the parameters of channels, which are few.
    static func doubles(_ tensor: Tensor) throws(TensorError) -> [Double] {
        switch tensor.dtype {
        case .float32: try tensor.view(of: Float.self).map { Double($0) }
        case .float64: try tensor.array(of: Double.self)
        default: throw TensorError("expected float32 or float64, found \(tensor.dtype)\(tensor.shape)")
        }
    }

    /// Mean and variance of numbers, in two passes.
    static func moments(_ values: some Collection<Double>) -> (mean: Double, variance: Double) {
        let count = Double(values.count)
        let mean = values.reduce(0, +) / count
        return (mean, values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count)
    }
}
