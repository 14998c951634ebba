import GraphRuntime

/// ONNX GridSample (16 to 22): a tensor read at the places that a grid of coordinates names.
struct GridSample: Operator {
    enum Mode {
        case nearest, linear, cubic
    }

    enum Padding: String {
        case zeros, border, reflection
    }

    var mode: Mode
    var padding: Padding
    /// Whether -1 and 1 stand for the middles of the outermost elements rather than for their edges.
    var alignsCorners: Bool

    var floatingPointTypes: Set<DType>? { mode == .nearest ? nil : [.float32, .float64] }

    private func output(_ shape: Shape, _ grid: Shape) throws -> Shape {
        let rank = shape.rank - 2
        guard rank >= 1, grid.rank == shape.rank, grid[0] == shape[0], grid[grid.rank - 1] == rank else {
            throw TensorError("a grid of shape \(grid) doesn't fit \(shape)")
        }
        let result = try Shape(Array(shape.dimensions[..<2]) + Array(grid.dimensions[1...rank]))
        if result.count > 0 && shape.count == 0 { throw TensorError("\(shape) has no elements to sample") }
        return result
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let data = try inputs[0]
        guard let shape = data.shape, let grid = try inputs[1].shape else { return [Fact(dtype: data.dtype)] }
        return [Fact(dtype: data.dtype, shape: try output(shape, grid))]
    }

    func run(_ context: inout RunContext) throws {
        let (data, grid) = (try context.input(0), try context.input(1))
        let shape = try output(data.shape, grid.shape)
        // Without an item there is no point.
        let points = shape.count(2..<shape.rank)
        let sampling = GridSampling(
            data.shape, points: points,
            linear: mode == .linear && padding != .reflection
                ? GridSampling.Linear(alignsCorners: alignsCorners, takesBorder: padding == .border) : nil)
        let taps = { @Sendable coordinate, extent in axisTaps(coordinate, extent) }
        let tapsPerAxis = mode == .cubic ? 4 : 2
        switch (mode, data.dtype) {
        case (.nearest, _): try sampleNearest(data, sampling.nearest(grid, taps: taps), shape, &context)
        case (_, .float32):
            try sampling.run(
                data, grid, Float.self, tapsPerAxis: tapsPerAxis, into: context.output(0), threads: context.threads, taps: taps)
        case (_, .float64):
            try sampling.run(
                data, grid, Double.self, tapsPerAxis: tapsPerAxis, into: context.output(0), threads: context.threads, taps: taps
            )
        default: throw TensorError("\(data.dtype) can't be interpolated")
        }
    }

    private func axisTaps(_ coordinate: Double, _ extent: Int) -> AxisTaps {
        let last = Double(extent - 1)
        var place = alignsCorners ? (coordinate + 1) / 2 * last : ((coordinate + 1) * Double(extent) - 1) / 2
        if mode == .nearest { place = place.rounded(.toNearestOrEven) }
        let edges = alignsCorners ? (low: 0, high: last) : (low: -0.5, high: last + 0.5)
        if !(place >= edges.low && place <= edges.high) {
            switch padding {
            case .zeros: break
            // A cubic kernel weighs what is around a place outside, as in PyTorch; from three elements off on, the border alone.
            case .border: place = mode == .cubic ? min(max(place, -3), last + 3) : min(max(place, 0), last)
            case .reflection: place = Self.reflect(place, edges)
            }
        }
        // No element is near such a place; a NaN has none either.
        guard abs(place) < 1e15 else { return .none }
        if mode == .nearest {
            return AxisTaps(count: 1, indices: SIMD4(repeating: index(Int(place.rounded()), extent, edges)))
        }
        let floor = place.rounded(.down)
        let ratio = place - floor
        let first = Int(floor)
        if mode == .linear {
            return AxisTaps(
                count: 2, indices: SIMD4(index(first, extent, edges), index(first + 1, extent, edges), -1, -1),
                weights: SIMD4(1 - ratio, ratio, 0, 0))
        }
        var result = AxisTaps(count: 4)
        for tap in 0..<4 {
            result.indices[tap] = index(first - 1 + tap, extent, edges)
            result.weights[tap] = Self.cubic(abs(Double(tap - 1) - ratio))
        }
        return result
    }

    private func index(_ index: Int, _ extent: Int, _ edges: (low: Double, high: Double)) -> Int {
        if index >= 0 && index < extent { return index }
        switch padding {
        case .zeros: return -1
        case .border: return min(max(index, 0), extent - 1)
        case .reflection: return min(max(Int(Self.reflect(Double(index), edges)), 0), extent - 1)
        }
    }

    private static func reflect(_ place: Double, _ edges: (low: Double, high: Double)) -> Double {
        let range = edges.high - edges.low
        guard range > 0, abs(place) < 1e15 else { return edges.low }
        let beyond = place < edges.low ? edges.low - place : place - edges.high
        guard beyond > 0 else { return place }
        let turns = (beyond / range).rounded(.down)
        let rest = beyond - turns * range
        let isEven = turns.truncatingRemainder(dividingBy: 2) == 0
        return (place < edges.low) == isEven ? edges.low + rest : edges.high - rest
    }

    /// Keys' kernel with the parameter -0.75.
    private static func cubic(_ x: Double) -> Double {
        let a = -0.75
        if x <= 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
        return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0
    }

    /// - Parameter offsets: for each point of each item, see ``GridSampling/nearest(_:taps:)``.
    private func sampleNearest(_ data: Tensor, _ offsets: [Int], _ shape: Shape, _ context: inout RunContext) throws {
        let (channels, planeSize) = (data.shape[1], data.shape.count(2..<data.shape.rank))
        let zero = try Tensor.zero(data.dtype)
        try context.moveElements(of: [data, zero], into: 0, shape: shape) { units in
            guard shape.count > 0 else { return }
            let pointsPerItem = shape.count(2..<shape.rank)
            for place in 0..<shape.count {
                let (plane, point) = place.quotientAndRemainder(dividingBy: pointsPerItem)
                let offset = offsets[plane / channels * pointsPerItem + point]
                if offset < 0 {
                    try units.copy(from: 1, at: 0, to: place)
                } else {
                    try units.copy(at: plane * planeSize + offset, to: place)
                }
            }
        }
    }
}

extension GridSample {
    static let definitions =
        OperatorDefinition.all("GridSample", since: [16, 20, 22]) { try decode(&$0) }
        + [OperatorDefinition("GridSample", domain: "com.microsoft", since: 1) { try decode(&$0) }]

    private static func decode(_ decoder: inout NodeDecoder) throws -> any Operator {
        try decoder.requireInputs(2...2)
        let modes: [String: Mode] = [
            "bilinear": .linear, "linear": .linear, "nearest": .nearest, "bicubic": .cubic, "cubic": .cubic,
        ]
        let name = try decoder.string("mode", default: "linear")
        let padding = try decoder.string("padding_mode", default: "zeros")
        guard let mode = modes[name], let padding = Padding(rawValue: padding) else {
            throw TensorError("the mode \"\(name)\" with padding_mode \"\(padding)\" isn't supported")
        }
        return GridSample(
            mode: mode, padding: padding, alignsCorners: try decoder.bool("align_corners", default: false))
    }
}
