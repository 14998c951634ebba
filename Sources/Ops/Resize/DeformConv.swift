import GraphRuntime

/// ONNX DeformConv (19, 22): a convolution whose kernel's points are moved by offsets, read by linear interpolation between pixels
/// (zeros outside), and weighed by a mask (Dai et al., "Deformable Convolutional Networks", 2017; Zhu et al., "Deformable ConvNets
/// v2", 2018).
///
/// X [N, C, …spatial], W [M, C / group, …kernel], offset [N, offset groups · |kernel| · rank, …output], B [M], mask [N, offset groups ·
/// |kernel|, …output]; gives [N, M, …output].
struct DeformConv: Operator {
    let dilations: [Int]?
    let strides: [Int]?
    let pads: [Int]?
    let kernel: [Int]?
    let groups: Int
    let offsetGroups: Int

    var floatingPointTypes: Set<DType>? { DType.wideFloats }
    var kernelName: String? { "im2col" }

    private struct Problem {
        let kernel: [Int]
        let strides: [Int]
        let dilations: [Int]
        let begin: [Int]
        let input: [Int]
        let output: [Int]
        let shape: Shape
        /// Points of the kernel.
        var points: Int { kernel.reduce(1, *) }
    }

    private func problem(_ x: Shape, _ w: Shape, offset: Shape, bias: Shape?, mask: Shape?) throws -> Problem {
        let rank = x.rank - 2
        guard (1...8).contains(rank), w.rank == x.rank, offset.rank == x.rank, x[1] == (try checkedProduct(w[1], groups)),
            w[0] % groups == 0, x[1] % offsetGroups == 0
        else {
            throw TensorError("\(x), weights \(w) and offsets \(offset) don't fit \(groups) groups, \(offsetGroups) of offsets")
        }
        let size = Array(w.dimensions[2...])
        let (strides, dilations) = (strides ?? Array(repeating: 1, count: rank), dilations ?? Array(repeating: 1, count: rank))
        let pads = pads ?? Array(repeating: 0, count: 2 * rank)
        guard kernel == nil || kernel == size, strides.count == rank, dilations.count == rank, pads.count == 2 * rank,
            size.allSatisfy({ $0 > 0 })
        else { throw TensorError("kernel_shape, strides, dilations and pads don't fit \(rank) axes of weights \(w)") }
        var output: [Int] = []
        for axis in 0..<rank {
            let padded = saturatingAdd(x[axis + 2], saturatingAdd(pads[axis], pads[axis + rank]))
            let reach = saturatingAdd(saturatingMultiply(size[axis] - 1, dilations[axis]), 1)
            output.append(padded < reach ? 0 : (padded - reach) / strides[axis] + 1)
        }
        let points = try checkedProduct(size.reduce(1, *), offsetGroups)
        let expected: [(String, Shape?, [Int])] = [
            ("the offsets", offset, [x[0], try checkedProduct(points, rank)] + output), ("the bias", bias, [w[0]]),
            ("the mask", mask, [x[0], points] + output),
        ]
        for (name, shape, wanted) in expected {
            if let shape, shape.dimensions != wanted {
                throw TensorError("\(name) should have shape \(wanted), found \(shape)")
            }
        }
        let shape = try Shape([x[0], w[0]] + output)
        try BLASLimits.check(shape.count(2..<shape.rank), w[0], try checkedProduct(w[1], size.reduce(1, *)))
        return Problem(
            kernel: size, strides: strides, dilations: dilations, begin: Array(pads[..<rank]),
            input: Array(x.dimensions[2...]), output: output, shape: shape)
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let dtype = try commonType(inputs, 0..<inputs.count)
        if let dtype, !dtype.isFloat { throw TensorError("expected floating-point numbers, found \(dtype)") }
        guard let x = try inputs[0].shape, let w = try inputs[1].shape, let offset = try inputs[2].shape else {
            return [Fact(dtype: dtype)]
        }
        let problem = try problem(x, w, offset: offset, bias: inputs.optional(3)?.shape, mask: inputs.optional(4)?.shape)
        return [Fact(dtype: dtype, shape: problem.shape)]
    }

    func run(_ context: inout RunContext) throws {
        if try context.input(0).dtype == .float64 {
            try run(context, Double.self)
        } else {
            try run(context, Float.self)
        }
    }

    private func run<Element: BLASElement & NumericElement>(_ context: RunContext, _ type: Element.Type) throws {
        let tensors = try (0..<5).map { try context.optionalInput($0) }
        guard let x = tensors[0], let w = tensors[1], let offset = tensors[2] else { throw TensorError("an input is missing") }
        let problem = try problem(x.shape, w.shape, offset: offset.shape, bias: tensors[3]?.shape, mask: tensors[4]?.shape)
        let output = try context.output(0)
        let target = unsafe try output.buffer(of: type)
        let (channels, points, pixels) = (x.shape[1], problem.points, problem.output.reduce(1, *))
        let (filters, depth) = (w.shape[0] / groups, w.shape[1] * points)
        let columns = try MutableTensor(dtype: Element.dtype, shape: Shape([channels, points, pixels]))
        let bias = unsafe try tensors[3]?.buffer(of: type)
        nonisolated(unsafe) let weights = unsafe try w.pointer(to: type)
        nonisolated(unsafe) let matrix = unsafe try columns.pointer(to: type)
        let result = unsafe try output.pointer(to: type)
        guard target.count > 0 else { return }
        for index in target.indices { unsafe target[index] = unsafe bias?[index / pixels % w.shape[0]] ?? 0 }
        guard depth > 0 else { return }
        for item in 0..<x.shape[0] {
            unsafe try sample(
                item, x.buffer(of: type), offset.buffer(of: type), tensors[4]?.buffer(of: type), problem, channels: channels,
                into: matrix, threads: context.threads)
            for group in 0..<groups {
                nonisolated(unsafe) let start = unsafe result + (item * groups + group) * filters * pixels
                context.threads.forEachRange(pixels, grain: 64) { range in
                    unsafe GEMM(
                        m: filters, n: range.count, k: depth, a: weights + group * filters * depth, lda: depth,
                        b: matrix + group * depth * pixels + range.lowerBound,
                        ldb: pixels, start: .target, c: start + range.lowerBound, ldc: pixels
                    ).run()
                }
            }
        }
    }

    /// The pixels that every point of the kernel reads, [channels, points, output pixels], of one image.
    private func sample<Element: BLASElement & NumericElement>(
        _ item: Int, _ x: UnsafeBufferPointer<Element>, _ offsets: UnsafeBufferPointer<Element>,
        _ mask: UnsafeBufferPointer<Element>?, _ problem: Problem, channels: Int, into matrix: UnsafeMutablePointer<Element>,
        threads: ThreadPool
    ) {
        let (points, rank) = (problem.points, problem.kernel.count)
        let pixels = problem.output.reduce(1, *)
        let plane = problem.input.reduce(1, *)
        let depth = channels / offsetGroups
        nonisolated(unsafe) let mask = unsafe mask
        nonisolated(unsafe) let matrix = unsafe matrix
        nonisolated(unsafe) let offsets = unsafe offsets
        nonisolated(unsafe) let x = unsafe x
        threads.forEach(offsetGroups * points) { index in
            let (group, point) = (index / points, index % points)
            let place = item * offsetGroups * points + index
            let tap = coordinates(of: point, in: problem.kernel)
            var corners: [(offset: Int, weight: Double)] = []
            var position = [Double](repeating: 0, count: rank)
            for pixel in 0..<pixels {
                let base = coordinates(of: pixel, in: problem.output)
                for axis in 0..<rank {
                    let start = base[axis] * problem.strides[axis] - problem.begin[axis] + tap[axis] * problem.dilations[axis]
                    position[axis] = unsafe Double(start) + offsets[(place * rank + axis) * pixels + pixel].double
                }
                unsafe interpolate(position, problem.input, scale: mask?[place * pixels + pixel].double ?? 1, &corners)
                for channel in group * depth..<(group + 1) * depth {
                    let source = (item * channels + channel) * plane
                    var sum = 0.0
                    for (offset, weight) in corners { unsafe sum += weight * x[source + offset].double }
                    unsafe matrix[(channel * points + point) * pixels + pixel] = .converting(sum)
                }
            }
        }
    }

    static let definitions = OperatorDefinition.all("DeformConv", since: [19, 22]) { decoder in
        try decoder.requireInputs(3...5)
        let (groups, offsetGroups) = (try decoder.int("group", default: 1), try decoder.int("offset_group", default: 1))
        let (strides, dilations) = (try decoder.optionalInts("strides"), try decoder.optionalInts("dilations"))
        let pads = try decoder.optionalInts("pads")
        // Bounds beyond which no tensor reaches keep the products of coordinates from overflowing.
        let positive = 1...1 << 31
        guard positive.contains(groups), positive.contains(offsetGroups),
            ((strides ?? []) + (dilations ?? [])).allSatisfy(positive.contains), (pads ?? []).allSatisfy((0...1 << 31).contains)
        else { throw TensorError("groups, strides and dilations should be positive, and pads not negative") }
        return DeformConv(
            dilations: dilations, strides: strides, pads: pads, kernel: try decoder.optionalInts("kernel_shape"),
            groups: groups, offsetGroups: offsetGroups)
    }
}

/// The coordinates of a row-major place.
private func coordinates(of index: Int, in extents: [Int]) -> [Int] {
    var rest = index
    var result = extents
    for axis in extents.indices.reversed() {
        result[axis] = rest % extents[axis]
        rest /= extents[axis]
    }
    return result
}

/// The pixels around a position and their weights, without those that lie outside; none where it isn't a number.
private func interpolate(
    _ position: [Double], _ extents: [Int], scale: Double, _ corners: inout [(offset: Int, weight: Double)]
) {
    corners.removeAll(keepingCapacity: true)
    for axis in position.indices where !(position[axis] > -1 && position[axis] < Double(extents[axis])) { return }
    for corner in 0..<1 << position.count {
        var (offset, weight) = (0, scale)
        for axis in position.indices {
            let floor = position[axis].rounded(.down)
            let isUpper = corner >> axis & 1 == 1
            let index = Int(floor) + (isUpper ? 1 : 0)
            guard (0..<extents[axis]).contains(index) else {
                weight = 0
                break
            }
            offset = offset * extents[axis] + index
            weight *= isUpper ? position[axis] - floor : 1 - (position[axis] - floor)
        }
        if weight != 0 { corners.append((offset, weight)) }
    }
}
