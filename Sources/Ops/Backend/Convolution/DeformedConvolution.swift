import GraphRuntime

extension DeformConv {
    /// Samples the pixels that every point of the kernel reads, and multiplies them with the weights.
    func run<Element: BLASElement & NumericElement>(_ context: RunContext, _ type: Element.Type) throws {
        let tensors = try (0..<5).map { try context.optionalInput($0) }
        guard let x = tensors[0], let w = tensors[1], let offset = tensors[2] else { throw TensorError("an input is missing") }
        let problem = try problem(x.shape, w.shape, offset: offset.shape, bias: tensors[3]?.shape, mask: tensors[4]?.shape)
        let output = try context.output(0)
        nonisolated(unsafe) let target = unsafe try output.buffer(of: type)
        let (channels, points, pixels) = (x.shape[1], problem.points, problem.output.reduce(1, *))
        let (filters, depth) = (w.shape[0] / groups, w.shape[1] * points)
        let columns = try MutableTensor(dtype: Element.dtype, shape: Shape([channels, points, pixels]))
        let bias = unsafe try tensors[3]?.buffer(of: type)
        nonisolated(unsafe) let weights = unsafe try w.pointer(to: type)
        defer { withExtendedLifetime(columns) {} }
        nonisolated(unsafe) let matrix = unsafe try columns.pointer(to: type)
        let result = unsafe try output.pointer(to: type)
        guard unsafe target.count > 0 else { return }
        for index in unsafe target.indices { unsafe target[index] = unsafe bias?[index / pixels % w.shape[0]] ?? 0 }
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
