import GraphRuntime

/// ONNX TopK (1 to 24): the largest or smallest elements along an axis, best first, with their indices; of equal ones the first.
struct TopK: Operator {
    var axis: Int
    var isLargest = true
    /// As an attribute (opset 1); nil where it is input 1.
    var count: Int?

    private func shape(_ shape: Shape, count: Int) throws -> Shape {
        let axis = try shape.axis(axis)
        guard count >= 0, count <= shape[axis] else {
            throw TensorError("k is \(count), axis \(axis) of \(shape) has \(shape[axis]) elements")
        }
        return try shape.replacing(axis, with: count)
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let data = try inputs[0]
        var result: Shape?
        if let shape = data.shape, let count = try count ?? inputs[1].tensor?.integer("k") {
            result = try self.shape(shape, count: count)
        }
        return [Fact(dtype: data.dtype, shape: result), Fact(dtype: .int64, shape: result)]
    }

    func run(_ context: inout RunContext) throws {
        let data = try context.input(0)
        let shape = try shape(data.shape, count: count ?? context.input(1).integer("k"))
        let axis = try data.shape.axis(axis)
        let (outer, extent, inner) = data.shape.split(at: axis)
        let count = shape[axis]
        let threads = context.threads
        let positions = try data.visitOrderedBits(
            Lanes(
                data: data, count: count, extent: extent, inner: inner, laneCount: count == 0 ? 0 : outer * inner,
                isLargest: isLargest,
                threads: threads))
        var places = [Int](repeating: 0, count: shape.count)
        var indices = [Int64](repeating: 0, count: shape.count)
        for (index, position) in positions.enumerated() {
            let (lane, rank) = (index / count, index % count)
            let target = (lane / inner * count + rank) * inner + lane % inner
            places[target] = (lane / inner * extent + position) * inner + lane % inner
            indices[target] = Int64(position)
        }
        try context.moveElements(of: [data], into: 0, shape: shape) { units in
            try units.gather(outer: 1, extent: 0, inner: 1, indices: places, threads: threads)
        }
        if let output = context.optionalOutput(1) { try output.copy(from: Tensor(indices, shape: shape)) }
    }
}

/// The positions of the best elements of each lane along an axis, lane after lane.
private struct Lanes: OrderedBitsVisitor {
    let data: Tensor
    let count: Int
    let extent: Int
    let inner: Int
    let laneCount: Int
    let isLargest: Bool
    let threads: ThreadPool

    /// Elements that are worth a task.
    private static let grain = 1 << 15

    func visit<Bits>(_ elements: TensorView<Bits>, _ key: OrderKey<Bits>) -> [Int] {
        Bits.bitWidth <= 32 && extent <= UInt32.max
            ? positions(UInt64.self, elements, key) : positions(UInt128.self, elements, key)
    }

    private func positions<Bits, Candidate: FixedWidthInteger & UnsignedInteger & Sendable>(
        _ type: Candidate.Type, _ elements: TensorView<Bits>, _ key: OrderKey<Bits>
    ) -> [Int] {
        // By flipping all bits the largest key becomes the smallest.
        let flip: Bits = isLargest ? .max : 0
        let size = max(Self.grain / max(extent, 1), 1)
        let pieces = threads.map((laneCount + size - 1) / size) { piece in
            let lanes = piece * size..<min((piece + 1) * size, laneCount)
            var positions: [Int] = []
            positions.reserveCapacity(lanes.count * count)
            if inner == 1, let key = key as? OrderKey<UInt32>, let flip = flip as? UInt32 {
                var smallest = SmallestKeys<UInt32, Candidate>(count: count)
                var row = OrderedRow(data, key: key, flip: flip, count: extent)
                for lane in lanes {
                    row.load(row: lane)
                    smallest.append(to: &positions, extent: extent, key: { row[$0] }, next: { row.next(from: $0, below: $1) })
                }
                return positions
            }
            var smallest = SmallestKeys<Bits, Candidate>(count: count)
            for lane in lanes {
                let base = lane / inner * extent * inner + lane % inner
                smallest.append(to: &positions, extent: extent) { key(elements[base + $0 * inner]) ^ flip }
            }
            return positions
        }
        return pieces.flatMap { $0 }
    }
}

extension TopK {
    static let definitions =
        OperatorDefinition.all("TopK", since: [1]) { decoder in
            try decoder.requireInputs(1...1)
            return TopK(axis: try decoder.int("axis", default: -1), count: try decoder.requiredInt("k"))
        }
        + OperatorDefinition.all("TopK", since: [10, 11, 24]) { decoder in
            try decoder.requireInputs(2...2)
            // Sorted results are a right answer where any order will do.
            decoder.ignore("sorted")
            return TopK(
                axis: try decoder.int("axis", default: -1),
                isLargest: decoder.version < 11 ? true : try decoder.bool("largest", default: true))
        }
}
