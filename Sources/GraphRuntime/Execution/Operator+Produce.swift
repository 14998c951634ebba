extension Operator {
    /// Runs into `outputs` and returns what came out of each.
    func produce(
        inputs: [Value?], captures: [Value], outputs: [MutableTensor?], threads: ThreadPool, subgraphs: (any SubgraphRunner)?
    ) throws -> [Value?] {
        let results = try fill(
            outputs, inputs: inputs, captures: captures, threads: threads, subgraphs: subgraphs)
        return outputs.indices.map { index in
            if index < results.count, let value = results[index] { return value }
            return outputs[index].map { .tensor($0.tensor) }
        }
    }

    /// Runs into `outputs`, which are finished then.
    ///
    /// An operator that doesn't compute in a 16-bit float type that it is given gets its inputs widened to float32, and those outputs
    /// rounded back that are wanted so, see ``HalfRounding``.
    ///
    /// - Parameter isWidened: what ``needsWidening(_:)`` says of the inputs, where that is known already.
    /// - Returns: what the operator stated itself in the place of an output, see ``RunContext/setOutput(_:_:)``.
    func fill(
        _ outputs: [MutableTensor?], inputs: [Value?], captures: [Value], isWidened: Bool? = nil, threads: ThreadPool,
        subgraphs: (any SubgraphRunner)?
    ) throws -> [Value?] {
        guard !(isWidened ?? needsWidening(inputs.map { $0?.tensor?.dtype })) else {
            return try fillWidened(outputs, inputs: inputs, captures: captures, threads: threads, subgraphs: subgraphs)
        }
        var context = RunContext(inputs: inputs, captures: captures, outputs: outputs, threads: threads, subgraphs: subgraphs)
        try run(&context)
        for output in outputs { try output?.close() }
        return context.results
    }

    private func fillWidened(
        _ outputs: [MutableTensor?], inputs: [Value?], captures: [Value], threads: ThreadPool, subgraphs: (any SubgraphRunner)?
    ) throws -> [Value?] {
        let inputs = try inputs.enumerated().map { index, value in
            guard case .tensor(let tensor)? = value, !takesHalves(input: index) else { return value }
            return .tensor(try HalfPrecision.widen(tensor, threads: threads))
        }
        let targets = try outputs.map { output in
            guard let output, output.dtype == .float16 || output.dtype == .bfloat16 else { return output }
            return try MutableTensor(dtype: .float32, shape: output.shape)
        }
        var context = RunContext(inputs: inputs, captures: captures, outputs: targets, threads: threads, subgraphs: subgraphs)
        try run(&context)
        for (index, (output, target)) in zip(outputs, targets).enumerated() {
            if let output, let target, target.dtype != output.dtype,
                index >= context.results.count || context.results[index] == nil
            {
                try HalfPrecision.narrow(try target.finish(), into: output, threads: threads)
            }
            try output?.close()
        }
        return context.results
    }

    /// Whether some inputs are 16-bit floats of a type that the operator doesn't compute in.
    ///
    /// - Parameter dtypes: of the inputs; nil for those that aren't given, or aren't tensors.
    func needsWidening(_ dtypes: [DType?]) -> Bool {
        // The set of types is made anew each time it is asked for, so the inputs are looked at first.
        dtypes.contains { dtype in
            guard dtype == .float16 || dtype == .bfloat16, let dtype, let types = floatingPointTypes else { return false }
            return !types.contains(dtype)
        }
    }
}
