import GraphRuntime

/// ONNX Scan (8 to 25): runs a graph for every slice of some inputs, carries a state along, and stacks the other results.
struct Scan: Operator {
    var body: Subgraph
    var scanInputCount: Int
    /// The axis of each scanned input and whether it is read from the end; so for the stacked outputs.
    var inputAxes: [Int]
    var inputReversed: [Bool]
    var outputAxes: [Int]
    var outputReversed: [Bool]
    /// Whether all inputs have a batch axis in front and input 0 gives the lengths of the sequences (opset 8).
    var isBatched = false

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { Array(repeating: .unknown, count: inputs.outputCount) }

    func run(_ context: inout RunContext) throws {
        let given = try context.inputs.dropFirst(isBatched ? 1 : 0).map { value -> Value in
            guard let value else { throw TensorError("an input of the scan is missing") }
            return value
        }
        let results = isBatched ? try runBatched(context, given) : try scan(context, given)
        for (index, value) in results.enumerated() { context.setOutput(index, value) }
    }

    private func scan(_ context: RunContext, _ given: [Value], length: Int? = nil) throws -> [Value] {
        let stateCount = given.count - scanInputCount
        let scanned = try given[stateCount...].map { try $0.asTensor() }
        var axes: [Int] = []
        for (tensor, axis) in zip(scanned, inputAxes) { axes.append(try tensor.shape.axis(axis)) }
        let lengths = zip(scanned, axes).map { $0.shape[$1] }
        guard let shortest = lengths.min(), lengths.allSatisfy({ $0 == shortest }), length ?? 0 <= shortest else {
            throw TensorError("the scanned axes have the different extents \(lengths)")
        }
        let turns = length ?? shortest
        var stacked = [[Tensor]](repeating: [], count: outputAxes.count)
        var turn = -1
        let states = try context.run(
            body, carrying: CarriedValues(count: stateCount, input: 0, output: 0), values: Array(given[..<stateCount])
        ) { results in
            turn += 1
            for (index, result) in results.enumerated() { stacked[index].append(try result.asTensor()) }
            guard turn < turns else { return nil }
            return try scanned.indices.map { index in
                let place = inputReversed[index] ? turns - 1 - turn : turn
                return .tensor(try scanned[index].slice(place, along: axes[index], threads: context.threads))
            }
        }
        let results = turns > 0 ? nil : context.inferOutputs(body, inputs: try facts(ofTurn: given, axes))
        let outputs = try stacked.enumerated().map { index, tensors -> Value in
            .tensor(
                try Loop.stack(
                    outputReversed[index] ? tensors.reversed() : tensors, axis: outputAxes[index],
                    slice: results?[stateCount + index] ?? .unknown, threads: context.threads))
        }
        return states + outputs
    }

    /// What is known of the body's inputs: the states, and slices of what is scanned along `axes`.
    private func facts(ofTurn given: [Value], _ axes: [Int]) throws -> [Fact] {
        let stateCount = given.count - scanInputCount
        return try given.enumerated().map { index, value in
            var fact = Fact(value).withoutValue
            if index >= stateCount, let shape = fact.shape {
                var extents = shape.dimensions
                extents.remove(at: axes[index - stateCount])
                fact.shape = try Shape(extents)
            }
            return fact
        }
    }

    /// Each item of the batch for itself; shorter sequences are filled up with zeros.
    private func runBatched(_ context: RunContext, _ given: [Value]) throws -> [Value] {
        let tensors = try given.map { try $0.asTensor() }
        guard let batch = tensors.first?.shape.dimensions.first, batch > 0,
            tensors.allSatisfy({ $0.shape.dimensions.first == batch })
        else { throw TensorError("the inputs of a scan don't have one batch axis") }
        let lengths = try context.optionalIntegers(0)
        guard lengths == nil || lengths?.count == batch, lengths?.allSatisfy({ $0 >= 0 }) ?? true else {
            throw TensorError("the sequence lengths don't fit a batch of \(batch)")
        }
        let longest = tensors.last.map { $0.shape.rank > 1 ? $0.shape[1] : 0 } ?? 0
        var columns: [[Tensor]] = []
        for item in 0..<batch {
            let own = try tensors.map { Value.tensor(try $0.slice(item, along: 0, threads: context.threads)) }
            let results = try scan(context, own, length: lengths?[item])
            let stateCount = given.count - scanInputCount
            for (index, value) in results.enumerated() {
                if columns.count <= index { columns.append([]) }
                var tensor = try value.asTensor()
                if index >= stateCount, tensor.shape.rank > 0, tensor.shape[0] < longest {
                    let zero = try Tensor.zero(tensor.dtype)
                    let missing = try tensor.shape.replacing(0, with: longest - tensor.shape[0])
                    let rest = try RunContext.newTensor(of: [zero], shape: missing) { units in
                        try units.fill(0..<missing.count, from: 0)
                    }
                    tensor = try concatenated([tensor, rest], axis: 0, threads: context.threads)
                }
                columns[index].append(tensor)
            }
        }
        return try columns.map { .tensor(try Loop.stack($0, axis: 0, slice: .unknown, threads: context.threads)) }
    }
}

extension Tensor {
    /// What is at one index of an axis, without that axis.
    func slice(_ index: Int, along axis: Int, threads: ThreadPool) throws -> Tensor {
        let (outer, extent, inner) = shape.split(at: axis)
        var extents = shape.dimensions
        extents.remove(at: axis)
        if outer == 1, let byteCount = dtype.byteCount(of: inner), dtype.bitWidth >= 8, index >= 0, index < extent {
            // It lies in one piece, and needn't be copied.
            return try Tensor(
                dtype: dtype, shape: Shape(extents), storage: storage, byteOffset: byteOffset + index * byteCount)
        }
        return try RunContext.newTensor(of: [self], shape: Shape(extents)) { units in
            try units.gather(outer: outer, extent: extent, inner: inner, indices: [index], threads: threads)
        }
    }
}

extension Scan {
    static let definitions =
        OperatorDefinition.all("Scan", since: [8]) { decoder in
            let (body, count) = try bodyAndCount(&decoder, firstInput: 1)
            let directions = try flags("directions", count, &decoder)
            let outputs = body.graph.outputs.count - (decoder.inputCount - 1 - count)
            return Scan(
                body: body, scanInputCount: count, inputAxes: Array(repeating: 0, count: count), inputReversed: directions,
                outputAxes: Array(repeating: 0, count: outputs), outputReversed: Array(repeating: false, count: outputs),
                isBatched: true)
        }
        + OperatorDefinition.all("Scan", since: [9, 11, 16, 19, 21, 23, 24, 25]) { decoder in
            let (body, count) = try bodyAndCount(&decoder, firstInput: 0)
            let outputs = body.graph.outputs.count - (decoder.inputCount - count)
            return Scan(
                body: body, scanInputCount: count, inputAxes: try axes("scan_input_axes", count, &decoder),
                inputReversed: try flags("scan_input_directions", count, &decoder),
                outputAxes: try axes("scan_output_axes", outputs, &decoder),
                outputReversed: try flags("scan_output_directions", outputs, &decoder))
        }

    private static func bodyAndCount(_ decoder: inout NodeDecoder, firstInput: Int) throws -> (Subgraph, Int) {
        let body = try decoder.subgraph("body")
        let count = try decoder.requiredInt("num_scan_inputs")
        let inputs = decoder.inputCount - firstInput
        guard count >= 1, count <= inputs, body.graph.inputs.count == inputs, body.graph.outputs.count >= inputs - count,
            decoder.outputCount <= body.graph.outputs.count
        else {
            throw TensorError(
                "a body of \(body.graph.inputs.count) inputs doesn't fit \(inputs) inputs with \(count) scanned ones")
        }
        return (body, count)
    }

    private static func axes(_ name: String, _ count: Int, _ decoder: inout NodeDecoder) throws -> [Int] {
        let values = try decoder.optionalInts(name) ?? Array(repeating: 0, count: count)
        guard values.count == count else {
            throw TensorError("attribute \(name) should have \(count) entries, found \(values.count)")
        }
        return values
    }

    private static func flags(_ name: String, _ count: Int, _ decoder: inout NodeDecoder) throws -> [Bool] {
        try axes(name, count, &decoder).map { $0 != 0 }
    }
}
