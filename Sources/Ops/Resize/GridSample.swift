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
        let coordinates: [Double]
        if grid.dtype == .float64 {
            coordinates = try grid.array(of: Double.self)
        } else {
            coordinates = try HalfPrecision.widen(grid).array(of: Float.self).map { Double($0) }
        }
        switch (mode, data.dtype) {
        case (.nearest, _): try sampleNearest(data, coordinates, shape, &context)
        case (_, .float32): try sample(data, coordinates, Float.self, context)
        case (_, .float64): try sample(data, coordinates, Double.self, context)
        default: throw TensorError("\(data.dtype) can't be interpolated")
        }
    }

    /// What one place of the output is a weighted sum of; -1 stands for a zero.
    private struct Taps {
        var offsets: [Int] = []
        var weights: [Double] = []
    }

    private func taps(_ coordinates: ArraySlice<Double>, _ extents: [Int], _ strides: [Int]) -> Taps {
        var result = Taps(offsets: [0], weights: [1])
        for (axis, extent) in extents.enumerated() {
            // A grid names the innermost axis first.
            let own = coordinates[coordinates.endIndex - 1 - axis]
            let (indices, weights) = axisTaps(own, extent)
            var next = Taps()
            for (offset, weight) in zip(result.offsets, result.weights) {
                for (index, factor) in zip(indices, weights) {
                    next.offsets.append(offset < 0 || index < 0 ? -1 : offset + index * strides[axis])
                    next.weights.append(weight * factor)
                }
            }
            result = next
        }
        return result
    }

    private func axisTaps(_ coordinate: Double, _ extent: Int) -> (indices: [Int], weights: [Double]) {
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
        guard abs(place) < 1e15 else { return ([-1], [1]) }
        if mode == .nearest { return ([index(Int(place.rounded()), extent, edges)], [1]) }
        let floor = place.rounded(.down)
        let ratio = place - floor
        let first = Int(floor)
        if mode == .linear { return ((0...1).map { index(first + $0, extent, edges) }, [1 - ratio, ratio]) }
        let filter = (-1...2).map { Self.cubic(abs(Double($0) - ratio)) }
        return ((-1...2).map { index(first + $0, extent, edges) }, filter)
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

    private func sample<Element: TensorElement & BinaryFloatingPoint>(
        _ data: Tensor, _ coordinates: [Double], _ type: Element.Type, _ context: RunContext
    ) throws {
        let source = try data.view(of: type)
        let (extents, strides) = (Array(data.shape.dimensions[2...]), Array(data.shape.strides[2...]))
        let (channels, planeSize) = (data.shape[1], extents.reduce(1, *))
        let points = coordinates.count / extents.count
        let pointsPerItem = points / max(data.shape[0], 1)
        // A line is a point over all channels, which share its taps.
        try context.output(0).forEachLine(
            of: type, count: channels, inner: pointsPerItem, grain: max(256 / max(channels, 1), 1), threads: context.threads
        ) { point, values in
            let own = taps(
                coordinates[point * extents.count..<(point + 1) * extents.count], extents, strides)
            let item = point / pointsPerItem * channels
            for channel in 0..<channels {
                var sum: Element = 0
                for (offset, weight) in zip(own.offsets, own.weights) where offset >= 0 {
                    sum += Element(weight) * source[(item + channel) * planeSize + offset]
                }
                values[channel] = sum
            }
        }
    }

    private func sampleNearest(_ data: Tensor, _ coordinates: [Double], _ shape: Shape, _ context: inout RunContext) throws {
        let (extents, strides) = (Array(data.shape.dimensions[2...]), Array(data.shape.strides[2...]))
        let points = coordinates.count / extents.count
        let offsets = (0..<points).map {
            taps(coordinates[$0 * extents.count..<($0 + 1) * extents.count], extents, strides).offsets[0]
        }
        let (channels, planeSize) = (data.shape[1], extents.reduce(1, *))
        let zero = try Tensor.zero(data.dtype)
        try context.moveElements(of: [data, zero], into: 0, shape: shape) { units in
            guard shape.count > 0 else { return }
            let pointsPerItem = points / data.shape[0]
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
