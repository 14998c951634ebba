extension Operator {
    /// Runs into `outputs` and returns what came out of each.
    ///
    /// An operator that doesn't compute in a 16-bit float type that it is given gets its inputs widened to float32, and those outputs
    /// rounded back that are wanted so, see ``HalfRounding``.
    func produce(
        inputs: [Value?], captures: [Value], outputs: [MutableTensor?], threads: ThreadPool, subgraphs: (any SubgraphRunner)?
    ) throws -> [Value?] {
        var inputs = inputs
        var targets = outputs
        let isWidened = needsWidening(inputs)
        if isWidened {
            inputs = try inputs.enumerated().map { index, value in
                guard case .tensor(let tensor)? = value, !takesHalves(input: index) else { return value }
                return .tensor(try HalfPrecision.widen(tensor))
            }
            targets = try outputs.map { output in
                guard let output, output.dtype == .float16 || output.dtype == .bfloat16 else { return output }
                return try MutableTensor(dtype: .float32, shape: output.shape)
            }
        }
        var context = RunContext(inputs: inputs, captures: captures, outputs: targets, threads: threads, subgraphs: subgraphs)
        try run(&context)
        return try outputs.indices.map { index in
            if index < context.results.count, let value = context.results[index] { return value }
            guard let output = outputs[index] else { return nil }
            if isWidened, let target = targets[index], target.dtype != output.dtype {
                try HalfPrecision.narrow(try target.finish(), into: output)
            }
            return .tensor(try output.finish())
        }
    }

    private func needsWidening(_ inputs: [Value?]) -> Bool {
        // The set of types is made anew each time it is asked for, so the inputs are looked at first.
        inputs.contains { value in
            guard case .tensor(let tensor)? = value, tensor.dtype == .float16 || tensor.dtype == .bfloat16,
                let types = floatingPointTypes
            else { return false }
            return !types.contains(tensor.dtype)
        }
    }
}
