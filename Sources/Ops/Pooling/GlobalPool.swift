import GraphRuntime

/// ONNX GlobalAveragePool, GlobalMaxPool and GlobalLpPool (1 to 22): one number for each plane.
struct GlobalPool: Operator {
    enum Kind: Sendable {
        case average
        case max
        case norm(p: Int)
    }

    var kind: Kind

    var floatingPointTypes: Set<DType>? { [.float32, .float64] }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let data = try inputs[0]
        guard let shape = data.shape else { return [Fact(dtype: data.dtype)] }
        guard shape.rank >= 2 else { throw TensorError("expected a batch and channels, found \(shape)") }
        let ones = Array(repeating: 1, count: shape.rank - 2)
        return [Fact(dtype: data.dtype, shape: try Shape(shape.dimensions[..<2] + ones))]
    }

    func run(_ context: inout RunContext) throws {
        let data = try context.input(0)
        if data.dtype == .float32, try poolRows(data, into: context.output(0), threads: context.threads) { return }
        if data.dtype == .float64 {
            try pool(data, Double.self, into: context.output(0), threads: context.threads)
        } else {
            try pool(data, Float.self, into: context.output(0), threads: context.threads)
        }
    }

    /// Means and maxima of planes of float32, by the vector kernels; a maximum is NaN where any number is.
    ///
    /// - Returns: false, with nothing done, for norms.
    private func poolRows(_ data: Tensor, into output: MutableTensor, threads: ThreadPool) throws -> Bool {
        let size = data.shape.count(2..<data.shape.rank)
        switch kind {
        case .average: try RowKernels.means(data, of: size, into: output, threads: threads)
        case .max: try RowKernels.maxima(data, of: size, into: output, threads: threads)
        case .norm: return false
        }
        return true
    }

    private func pool<Element: TensorElement & BinaryFloatingPoint>(
        _ data: Tensor, _ type: Element.Type, into output: MutableTensor, threads: ThreadPool
    ) throws {
        let source = try data.view(of: type)
        let size = data.shape.count(2..<data.shape.rank)
        let kind = kind
        try output.forEachSlice(of: type, grain: max(16384 / max(size, 1), 1), threads: threads) { planes, target in
            for (place, plane) in planes.enumerated() {
                let elements = plane * size..<(plane + 1) * size
                switch kind {
                case .average: target[place] = Element(Self.sum(source, elements) { Double($0) } / Double(size))
                case .max:
                    var largest = -Element.infinity
                    for index in elements { largest = Swift.max(largest, source[index]) }
                    target[place] = largest
                case .norm(let p):
                    let norm = Norm(p: p)
                    target[place] = Element(norm.root(Self.sum(source, elements) { norm.power(Double($0)) }))
                }
            }
        }
    }

    /// In double precision and in four lanes, so that additions don't wait for each other.
    @inline(__always)
    private static func sum<Element>(
        _ source: TensorView<Element>, _ range: Range<Int>, _ term: (Element) -> Double
    ) -> Double {
        var lanes = SIMD4<Double>()
        var index = range.lowerBound
        while index + 4 <= range.upperBound {
            lanes += SIMD4(term(source[index]), term(source[index + 1]), term(source[index + 2]), term(source[index + 3]))
            index += 4
        }
        while index < range.upperBound {
            lanes[0] += term(source[index])
            index += 1
        }
        return lanes.sum()
    }
}

extension GlobalPool {
    static let definitions =
        OperatorDefinition.all("GlobalAveragePool", since: [1, 22]) { decoder in
            try decoder.requireInputs(1...1)
            return GlobalPool(kind: .average)
        }
        + OperatorDefinition.all("GlobalMaxPool", since: [1, 22]) { decoder in
            try decoder.requireInputs(1...1)
            return GlobalPool(kind: .max)
        }
        + OperatorDefinition.all("GlobalLpPool", since: [2, 22]) { decoder in
            try decoder.requireInputs(1...1)
            let p = try decoder.int("p", default: 2)
            guard p > 0 else { throw TensorError("p is \(p)") }
            return GlobalPool(kind: .norm(p: p))
        }
}
