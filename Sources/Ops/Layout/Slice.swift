import GraphRuntime

/// Every `step`-th element along an axis, from `start` on.
struct AxisSlice: Equatable {
    var start: Int
    var step: Int
    var count: Int

    /// ONNX Slice's rules: negative numbers count from the end, numbers outside are brought inside.
    ///
    /// - Throws: ``TensorError`` for a step of 0.
    init(start: Int, end: Int, step: Int, extent: Int) throws(TensorError) {
        guard step != 0 else { throw TensorError("a slice has the step 0") }
        func clamped(_ index: Int, _ range: ClosedRange<Int>) -> Int {
            let counted = index < 0 ? saturatingAdd(index, extent) : index
            return min(max(counted, range.lowerBound), range.upperBound)
        }
        // Both ends of the smallest Int negate to something that no Int holds.
        let size = step == Int.min ? Int.max : abs(step)
        let first: Int
        let distance: Int
        if step > 0 {
            first = clamped(start, 0...extent)
            distance = clamped(end, 0...extent) - first
        } else {
            guard extent > 0 else {
                (self.start, self.step, count) = (0, step, 0)
                return
            }
            first = clamped(start, 0...(extent - 1))
            distance = first - clamped(end, -1...(extent - 1))
        }
        self.start = first
        self.step = step
        count = distance <= 0 ? 0 : (distance - 1) / size + 1
    }

    init(all extent: Int) { (start, step, count) = (0, 1, extent) }
}

/// ONNX Slice (1 to 13).
struct Slice: Operator {
    /// Bounds as attributes (opset 1); nil where they are inputs.
    struct Bounds {
        var starts: [Int]
        var ends: [Int]
        var axes: [Int]?
        var steps: [Int]?
    }

    var bounds: Bounds?

    /// One slice per axis of the shape.
    static func slices(of shape: Shape, _ bounds: Bounds) throws(TensorError) -> [AxisSlice] {
        let axes = try shape.distinctAxes(bounds.axes ?? Array(0..<bounds.starts.count))
        let steps = bounds.steps ?? Array(repeating: 1, count: axes.count)
        guard bounds.starts.count == axes.count, bounds.ends.count == axes.count, steps.count == axes.count else {
            throw TensorError(
                "a slice of \(axes.count) axes has \(bounds.starts.count) starts, \(bounds.ends.count) ends and \(steps.count) steps"
            )
        }
        var slices = shape.dimensions.map { AxisSlice(all: $0) }
        for (index, axis) in axes.enumerated() {
            slices[axis] = try AxisSlice(
                start: bounds.starts[index], end: bounds.ends[index], step: steps[index], extent: shape[axis])
        }
        return slices
    }

    private func bounds(_ inputs: InferenceInputs) throws -> Bounds? {
        if let bounds { return bounds }
        guard let starts = try inputs.integers(1), let ends = try inputs.integers(2), let axes = try inputs.optionalIntegers(3),
            let steps = try inputs.optionalIntegers(4)
        else { return nil }
        return Bounds(starts: starts, ends: ends, axes: axes, steps: steps)
    }

    /// One slice per axis of input 0; nil where its shape or the bounds aren't known yet.
    func slices(_ inputs: InferenceInputs) throws -> [AxisSlice]? {
        guard let shape = try inputs[0].shape, let bounds = try bounds(inputs) else { return nil }
        return try Self.slices(of: shape, bounds)
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        [Fact(dtype: try inputs[0].dtype, shape: try slices(inputs).map { try Shape($0.map(\.count)) })]
    }

    func forwardedInput(inputs: [Fact?], outputs: [Fact?]) -> Int? {
        guard Self.isUnchanged(0, inputs, outputs), let slices = try? slices(InferenceInputs(inputs)) else { return nil }
        // A whole axis may also be read backwards.
        return slices.allSatisfy { $0.count <= 1 || $0.step == 1 } ? 0 : nil
    }

    func run(_ context: inout RunContext) throws {
        guard let bounds = try bounds(context.inferenceInputs) else { throw TensorError("the bounds are missing") }
        let data = try context.input(0)
        try context.slice(data, Self.slices(of: data.shape, bounds))
    }

    func prepared(for operands: Operands) throws -> PreparedRun? {
        // Bounds among the inputs are constants where the output's shape is known.
        guard let output = operands.outputs.first ?? nil,
            let bounds = try bounds(InferenceInputs(operands.inputs.map { value in value.map { Fact($0) } }))
        else { return nil }
        let data = try operands.input(0)
        let units = try ElementUnits(sources: [data], target: output)
        let move = try SliceMove(data.shape, Self.slices(of: data.shape, bounds))
        return { threads in try move.run(units, threads: threads) }
    }
}

/// The elements of slices of a tensor, one slice for each axis.
private struct SliceMove {
    let shape: Shape
    /// Nil where there is nothing to move.
    private let copy: StridedCopy?
    private let offset: Int

    init(_ source: Shape, _ slices: [AxisSlice]) throws(TensorError) {
        shape = try Shape(slices.map(\.count))
        let strides = source.strides
        guard shape.count > 0 else {
            (copy, offset) = (nil, 0)
            return
        }
        offset = zip(slices, strides).reduce(0) { $0 + $1.0.start * $1.1 }
        // An axis of one element is never stepped along, however large its step.
        let steps = zip(slices, strides).map { $0.count == 1 ? 0 : $0.step * $1 }
        copy = StridedCopy(extents: shape.dimensions, sourceStrides: steps, targetStrides: shape.strides)
    }

    func run(_ units: ElementUnits, threads: ThreadPool) throws(TensorError) {
        if let copy { try units.run(copy, at: offset, threads: threads) }
    }
}

extension RunContext {
    /// Fills output 0 with the slices of a tensor, one for each axis.
    mutating func slice(_ data: Tensor, _ slices: [AxisSlice]) throws {
        let move = try SliceMove(data.shape, slices)
        let threads = threads
        try moveElements(of: [data], into: 0, shape: move.shape) { try move.run($0, threads: threads) }
    }
}

extension Slice {
    static let definitions =
        OperatorDefinition.all("Slice", since: [1]) { decoder in
            try decoder.requireInputs(1...1)
            guard let starts = try decoder.optionalInts("starts"), let ends = try decoder.optionalInts("ends") else {
                throw TensorError("attribute starts or ends is missing")
            }
            return Slice(bounds: Bounds(starts: starts, ends: ends, axes: try decoder.optionalInts("axes")))
        }
        + OperatorDefinition.all("Slice", since: [10, 11, 13]) { decoder in
            try decoder.requireInputs(3...5)
            return Slice()
        }
}
