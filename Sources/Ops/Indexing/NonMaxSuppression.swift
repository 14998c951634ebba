import GraphRuntime

/// ONNX NonMaxSuppression (10 to 11): of boxes that overlap, those with the best scores.
struct NonMaxSuppression: Operator {
    /// Whether boxes are [x center, y center, width, height] rather than [y1, x1, y2, x2].
    var isCentered: Bool

    private struct Box {
        var low: (Float, Float)
        var high: (Float, Float)

        /// - Parameter v: the box's four numbers.
        init(_ v: SIMD4<Float>, isCentered: Bool) {
            if isCentered {
                low = (v[1] - v[3] / 2, v[0] - v[2] / 2)
                high = (v[1] + v[3] / 2, v[0] + v[2] / 2)
            } else {
                let (y, x) = (Self.ordered(v[0], v[2]), Self.ordered(v[1], v[3]))
                low = (y.low, x.low)
                high = (y.high, x.high)
            }
        }

        private static func ordered(_ a: Float, _ b: Float) -> (low: Float, high: Float) { a >= b ? (b, a) : (a, b) }

        var area: Float { (high.0 - low.0) * (high.1 - low.1) }

        /// The area of the intersection over that of the union; 0 for boxes without an area, NaN where a coordinate makes it so.
        func overlap(_ other: Box) -> Float {
            let height = min(high.0, other.high.0) - max(low.0, other.low.0)
            let width = min(high.1, other.high.1) - max(low.1, other.low.1)
            let union = area + other.area - height * width
            if height <= 0 || width <= 0 || height * width <= 0 || area <= 0 || other.area <= 0 || union <= 0 { return 0 }
            return height * width / union
        }
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        if let boxes = try inputs[0].shape, let scores = try inputs[1].shape { try Self.check(boxes, scores) }
        return [Fact(dtype: .int64)]
    }

    private static func check(_ boxes: Shape, _ scores: Shape) throws {
        guard boxes.rank == 3, scores.rank == 3, boxes[2] == 4, boxes[0] == scores[0], boxes[1] == scores[2] else {
            throw TensorError("boxes of shape \(boxes) don't fit scores of shape \(scores)")
        }
    }

    func run(_ context: inout RunContext) throws {
        let (boxes, scores) = (try context.input(0), try context.input(1))
        try Self.check(boxes.shape, scores.shape)
        let limit = try context.optionalInput(2)?.integer("max_output_boxes_per_class") ?? 0
        let overlap = try context.optionalInput(3)?.array(of: Float.self).first ?? 0
        let threshold = try context.optionalInput(4)?.array(of: Float.self).first
        let (batch, classes, count) = (scores.shape[0], scores.shape[1], scores.shape[2])
        let (coordinates, values) = (try boxes.view(of: Float.self), try scores.view(of: Float.self))
        var selected: [Int64] = []
        for item in 0..<batch {
            for label in 0..<classes {
                let base = (item * classes + label) * count
                var entries: [ScoreHeap.Entry] = []
                for index in 0..<count {
                    let score = values[base + index]
                    if threshold.map({ score > $0 }) ?? true { entries.append(ScoreHeap.Entry(score: score, index: index)) }
                }
                var candidates = ScoreHeap(entries)
                var kept: [(index: Int, box: Box)] = []
                while kept.count < limit, let candidate = candidates.removeBest()?.index {
                    let first = (item * count + candidate) * 4
                    let box = Box(
                        SIMD4(coordinates[first], coordinates[first + 1], coordinates[first + 2], coordinates[first + 3]),
                        isCentered: isCentered)
                    if !kept.contains(where: { box.overlap($0.box) > overlap }) { kept.append((candidate, box)) }
                }
                selected += kept.flatMap { [Int64(item), Int64(label), Int64($0.index)] }
            }
        }
        context.setOutput(0, .tensor(try Tensor(selected, shape: Shape([selected.count / 3, 3]))))
    }
}

extension NonMaxSuppression {
    static let definitions = OperatorDefinition.all("NonMaxSuppression", since: [10, 11]) { decoder in
        try decoder.requireInputs(2...5)
        return NonMaxSuppression(isCentered: try decoder.bool("center_point_box", default: false))
    }
}
