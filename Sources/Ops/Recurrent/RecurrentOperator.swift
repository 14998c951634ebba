import GraphRuntime

/// ONNX RNN, GRU and LSTM (1 to 22): X, W, R, B, sequence_lens, initial_h and, for LSTM, initial_c and P; gives Y, Y_h and Y_c.
struct RecurrentOperator<Cell: RecurrentCell>: Operator {
    enum Direction: String {
        case forward, reverse, bidirectional
    }

    let cell: Cell
    let direction: Direction
    /// One list for each direction.
    let functions: [[RecurrentFunction]]
    /// The bound of what goes into a function; infinite where there is none.
    let clip: Double
    let isBatchFirst: Bool
    /// What the attribute says; the weights' shape tells it too.
    let hiddenSize: Int?
    /// W in panels, all directions' columns beside each other, and R as ``RecurrentWeights`` has it, where they are constants.
    private var panels: PackedFactor?
    private var recurrent: PackedConstant?

    init(
        cell: Cell, direction: Direction, functions: [[RecurrentFunction]], clip: Double, isBatchFirst: Bool, hiddenSize: Int?
    ) {
        (self.cell, self.direction, self.functions) = (cell, direction, functions)
        (self.clip, self.isBatchFirst, self.hiddenSize) = (clip, isBatchFirst, hiddenSize)
    }

    private var hasCellState: Bool { Cell.self == LSTMCell.self }

    var floatingPointTypes: Set<DType>? { DType.wideFloats }
    func takesHalves(input index: Int) -> Bool { index == 1 || index == 2 }

    /// - Parameter shape: of the input of a number, nil where it isn't given or known.
    private func geometry(_ shape: (Int) -> Shape?) throws -> RecurrentGeometry? {
        guard let x = shape(0), let w = shape(1), let r = shape(2) else { return nil }
        let geometry = try RecurrentGeometry(
            x: x, w: w, r: r, directions: functions.count, gates: Cell.gates, isBatchFirst: isBatchFirst)
        if let hiddenSize, hiddenSize != geometry.hidden {
            throw TensorError("attribute hidden_size is \(hiddenSize), the weights are made for \(geometry.hidden)")
        }
        let state = try geometry.stateShape
        let expected = try [
            (3, "B", Shape([functions.count, 2 * geometry.width])), (4, "sequence_lens", Shape([geometry.batch])),
            (5, "initial_h", state), (6, "initial_c", state), (7, "P", Shape([functions.count, 3 * geometry.hidden])),
        ]
        for (index, name, wanted) in expected {
            if let found = shape(index), found != wanted {
                throw TensorError("\(name) should have shape \(wanted), found \(found)")
            }
        }
        return geometry
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let dtype = try inputs[0].dtype
        if let dtype, !dtype.isFloat { throw TensorError("expected floating-point numbers, found \(dtype)") }
        let geometry = try geometry { inputs.optional($0)?.shape }
        let state = Fact(dtype: dtype, shape: try geometry?.stateShape)
        return [Fact(dtype: dtype, shape: try geometry?.outputShape), state] + (hasCellState ? [state] : [])
    }

    func run(_ context: inout RunContext) throws {
        if try context.input(0).dtype == .float64 {
            try run(context, Double.self)
        } else {
            try run(context, Float.self)
        }
    }

    func specialised(inputs: [Fact?], outputs: [Fact?], plan: PlanContext) throws -> any Operator {
        var result = self
        (result.panels, result.recurrent) = (nil, nil)
        guard let constants = plan.constants, let (_, w) = PanelProduct.constantFactor(inputs),
            let geometry = try geometry({ $0 < inputs.count ? inputs[$0]?.shape : nil })
        else { return result }
        result.panels = PanelProduct.packed(
            w, m: geometry.length * geometry.batch, n: geometry.directions * geometry.width, k: geometry.inputSize,
            isTransposed: true, plan: PlanContext(constants: constants))
        if let r = inputs[2]?.tensor {
            result.recurrent = RecurrentWeights(directions: geometry.directions, size: geometry.hidden, stages: cell.stages)
                .packed(r, constants: constants)
        }
        return result
    }

    private func run<Element: RecurrentElement>(_ context: RunContext, _ type: Element.Type) throws {
        var tensors = try (0..<8).map { try context.optionalInput($0) }
        guard let geometry = try geometry({ tensors[$0]?.shape }) else { throw TensorError("an input is missing") }
        let lengths = try tensors[4]?.integers() ?? Array(repeating: geometry.length, count: geometry.batch)
        guard lengths.allSatisfy({ (0...geometry.length).contains($0) }) else {
            throw TensorError("sequence_lens should lie in 0...\(geometry.length), found \(lengths)")
        }
        let outputs = (0..<3).map { context.optionalOutput($0) }
        try outputs[0]?.fill(with: 0 as Element)
        // Without memory for the packed weights they are read as they lie.
        let panels = try? panels?.panels(threads: context.threads)
        let packed = try? recurrent?.tensor(threads: context.threads)
        if panels == nil { tensors[1] = try tensors[1]?.widened(threads: context.threads) }
        if packed == nil { tensors[2] = try tensors[2]?.widened(threads: context.threads) }
        let pass = try RecurrentPass<Element, Cell>(
            geometry: geometry, cell: cell, functions: functions, tensors: tensors, panels: panels, packed: packed,
            isReverse: direction == .reverse, lengths: lengths, clip: clip)
        try pass.run(into: outputs, threads: context.threads)
    }

    func cost(inputs: [Fact?], outputs: [Fact?]) -> Cost {
        let bytes = Self.bytesMoved(inputs: inputs, outputs: outputs)
        guard inputs.count > 2, let x = inputs[0]?.shape, let w = inputs[1]?.shape, let r = inputs[2]?.shape, x.rank == 3 else {
            return Cost(bytes: bytes)
        }
        return Cost(flops: 2 * Double(x[0]) * Double(x[1]) * Double(w.count + r.count), bytes: bytes)
    }

    static func definitions(
        _ type: String, since versions: [Int], functions names: [String],
        cell: @escaping @Sendable (inout NodeDecoder) throws -> Cell
    ) -> [OperatorDefinition] {
        OperatorDefinition.all(type, since: versions) { decoder in
            try decoder.requireInputs(3...(Cell.self == LSTMCell.self ? 8 : 6))
            let text = try decoder.string("direction", default: "forward")
            guard let direction = Direction(rawValue: text.lowercased()) else {
                throw TensorError("attribute direction should be forward, reverse or bidirectional, found \"\(text)\"")
            }
            let count = direction == .bidirectional ? 2 : 1
            let all = Array(repeating: names, count: count).flatMap(\.self)
            let functions = try RecurrentFunction.decode(&decoder, default: all)
            let clip = try decoder.optionalFloat("clip")
            if let clip, !(clip >= 0) { throw TensorError("attribute clip should be 0 or more, found \(clip)") }
            // Whether the first output is wanted, which its name tells.
            if decoder.version < 7 { decoder.ignore("output_sequence") }
            return RecurrentOperator(
                cell: try cell(&decoder), direction: direction,
                functions: (0..<count).map { Array(functions[$0 * names.count..<($0 + 1) * names.count]) },
                clip: clip.map { Double($0) } ?? .infinity,
                isBatchFirst: decoder.version >= 14 ? try decoder.bool("layout", default: false) : false,
                hiddenSize: try decoder.optionalInt("hidden_size"))
        }
    }
}
