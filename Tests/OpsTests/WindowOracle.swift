import GraphRuntime
import TestSupport
import Testing

/// Convolution straight from ONNX Conv-22 and ConvTranspose-22, in double precision, one number at a time.
struct WindowOracle {
    /// [N, C, spatial…] of the input and [M, C / group, kernel…] of the weights ([C, M / group, kernel…] when transposed).
    var input: [Int]
    var weights: [Int]
    var strides: [Int]
    var dilations: [Int]
    /// Begins, then ends.
    var pads: [Int]
    var group = 1
    /// Transposed convolution only.
    var outputPadding: [Int]

    init(
        input: [Int], weights: [Int], strides: [Int]? = nil, dilations: [Int]? = nil, pads: [Int]? = nil, group: Int = 1,
        outputPadding: [Int]? = nil
    ) {
        let rank = input.count - 2
        self.input = input
        self.weights = weights
        self.strides = strides ?? Array(repeating: 1, count: rank)
        self.dilations = dilations ?? Array(repeating: 1, count: rank)
        self.pads = pads ?? Array(repeating: 0, count: 2 * rank)
        self.group = group
        self.outputPadding = outputPadding ?? Array(repeating: 0, count: rank)
    }

    var rank: Int { input.count - 2 }
    private var spatial: [Int] { Array(input.dropFirst(2)) }
    var kernel: [Int] { Array(weights.dropFirst(2)) }

    /// What the kernel spans along an axis.
    func reach(_ axis: Int) -> Int { (kernel[axis] - 1) * dilations[axis] + 1 }

    /// Sets the padding that `auto_pad` asks for: ceil(input / stride) outputs, the odd zero at the end or at the start.
    mutating func padToSame(upper: Bool) {
        for axis in 0..<rank {
            let output = (spatial[axis] + strides[axis] - 1) / strides[axis]
            let total = max((output - 1) * strides[axis] + reach(axis) - spatial[axis], 0)
            pads[axis] = upper ? total / 2 : total - total / 2
            pads[axis + rank] = total - pads[axis]
        }
    }

    /// Sets the padding with which a transposed convolution has outputs of these extents.
    mutating func padTransposed(to output: [Int], upper: Bool) {
        for axis in 0..<rank {
            let total = strides[axis] * (spatial[axis] - 1) + outputPadding[axis] + reach(axis) - output[axis]
            // Where less than nothing is to be cut, zeros are appended instead.
            pads[axis] = upper ? max(total, 0) / 2 : max(total, 0) - max(total, 0) / 2
            pads[axis + rank] = total - pads[axis]
        }
    }

    var outputShape: [Int] {
        [input[0], weights[0]] + (0..<rank).map { (spatial[$0] + pads[$0] + pads[$0 + rank] - reach($0)) / strides[$0] + 1 }
    }

    var transposedShape: [Int] {
        [input[0], weights[1] * group]
            + (0..<rank).map {
                strides[$0] * (spatial[$0] - 1) + outputPadding[$0] + reach($0) - pads[$0] - pads[$0 + rank]
            }
    }

    func convolve(_ x: [Double], _ w: [Double], bias: [Double]?) -> [Double] {
        let output = outputShape
        var y: [Double] = []
        for position in Self.positions(output) {
            let channelGroup = position[1] / (weights[0] / group)
            var sum = bias?[position[1]] ?? 0
            for tap in Self.positions(Array(weights.dropFirst())) {
                var source = [position[0], channelGroup * weights[1] + tap[0]]
                for axis in 0..<rank {
                    source.append(position[axis + 2] * strides[axis] + tap[axis + 1] * dilations[axis] - pads[axis])
                }
                guard let index = Self.index(source, input), let weight = Self.index([position[1]] + tap, weights) else {
                    continue
                }
                sum += x[index] * w[weight]
            }
            y.append(sum)
        }
        return y
    }

    func convolveTransposed(_ x: [Double], _ w: [Double], bias: [Double]?) -> [Double] {
        let output = transposedShape
        let inner = output.dropFirst(2).reduce(1, *)
        var y = (0..<output.reduce(1, *)).map { bias?[$0 / inner % output[1]] ?? 0 }
        for source in Self.positions(input) {
            guard let index = Self.index(source, input) else { continue }
            for tap in Self.positions(Array(weights.dropFirst())) {
                var target = [source[0], source[1] / (input[1] / group) * weights[1] + tap[0]]
                for axis in 0..<rank {
                    target.append(source[axis + 2] * strides[axis] + tap[axis + 1] * dilations[axis] - pads[axis])
                }
                guard let place = Self.index(target, output), let weight = Self.index([source[1]] + tap, weights) else {
                    continue
                }
                y[place] += x[index] * w[weight]
            }
        }
        return y
    }

    /// Every position in an array of these extents, in row-major order.
    private static func positions(_ extents: [Int]) -> [[Int]] {
        extents.reduce([[]]) { found, extent in found.flatMap { start in (0..<extent).map { start + [$0] } } }
    }

    /// The row-major index of a position, nil outside.
    private static func index(_ position: [Int], _ extents: [Int]) -> Int? {
        var index = 0
        for (place, extent) in zip(position, extents) {
            guard place >= 0, place < extent else { return nil }
            index = index * extent + place
        }
        return index
    }

    /// The attributes of a node; `autoPad` takes the place of the padding.
    func attributes(autoPad: String? = nil, isTransposed: Bool = false) -> NodeAttributes {
        var result = NodeAttributes([
            "kernel_shape": .ints(kernel.map { Int64($0) }), "strides": .ints(strides.map { Int64($0) }),
            "dilations": .ints(dilations.map { Int64($0) }), "group": .int(Int64(group)),
        ])
        if let autoPad { result["auto_pad"] = .string(autoPad) } else { result["pads"] = .ints(pads.map { Int64($0) }) }
        if isTransposed { result["output_padding"] = .ints(outputPadding.map { Int64($0) }) }
        return result
    }
}

/// Numbers that are the same in every run, for choosing test cases.
struct Dice {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    /// A number in 0..<sides.
    mutating func roll(_ sides: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int(state >> 33) % sides
    }

    mutating func pick<Element>(_ elements: [Element]) -> Element { elements[roll(elements.count)] }
}

/// The elements of a floating-point tensor in double precision.
func doubles(_ tensor: Tensor) throws -> [Double] {
    tensor.dtype == .float64
        ? try tensor.array(of: Double.self) : try HalfPrecision.widen(tensor).array(of: Float.self).map { Double($0) }
}

/// ``pseudoRandom(_:seed:)`` in double precision.
func pseudoRandomDoubles(_ dimensions: [Int], seed: UInt64 = 1) throws -> Tensor {
    let tensor = try pseudoRandom(dimensions, seed: seed)
    // A third adds digits that single precision has no room for.
    return try Tensor(doubles(tensor).map { $0 / 3 }, shape: tensor.shape)
}

/// Expects the given shape, and values within `bound` of the largest finite magnitude that is expected; NaN and infinities where
/// they are expected.
func expectClose(_ found: Tensor, _ expected: [Double], shape: [Int], bound: Double, _ title: String = "") throws {
    try expectClose(found, expected, shape: shape, within: Tolerance(ofLargest: bound), title)
}
