import GraphRuntime

/// Cast-6 to Cast-25, and CastLike-15 to CastLike-25, whose second input tells the type.
struct Cast: ConversionOperator {
    /// Nil for CastLike.
    let target: DType?
    let rounding: CastRounding

    func converting(to dtype: DType) -> any Operator { Cast(target: dtype, rounding: rounding) }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        [Fact(dtype: try target ?? inputs[1].dtype, shape: try inputs[0].shape)]
    }

    func forwardedInput(inputs: [Fact?], outputs: [Fact?]) -> Int? { Self.isUnchanged(0, inputs, outputs) ? 0 : nil }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        let dtype = try target ?? context.input(1).dtype
        guard dtype != .string else {
            return context.setOutput(0, .tensor(try cast(x, to: .string, threads: context.threads)))
        }
        try cast(x, into: context.output(0), rounding: rounding, threads: context.threads)
    }

    func prepared(for operands: Operands) throws -> PreparedRun? {
        try preparedConversion(operands.input(0), into: operands.output(0))
    }

    static let definitions = [
        OperatorDefinition("Cast", since: 6) { decoder in
            try decoder.requireInputs(1...1)
            guard let target = try decoder.optionalDType("to") else { throw TensorError("attribute to is missing") }
            return Cast(target: target, rounding: try CastRounding(&decoder))
        },
        OperatorDefinition("CastLike", since: 15) { decoder in
            try decoder.requireInputs(2...2)
            return Cast(target: nil, rounding: try CastRounding(&decoder))
        },
        OperatorDefinition("BitCast", since: 26) { decoder in
            try decoder.requireInputs(1...1)
            guard let target = try decoder.optionalDType("to") else { throw TensorError("attribute to is missing") }
            return BitCast(target: target)
        },
    ]
}

extension CastRounding {
    init(_ decoder: inout NodeDecoder) throws(TensorError) {
        saturate = try decoder.bool("saturate", default: true)
        let name = try decoder.string("round_mode", default: "up")
        guard let mode = MiniFloat.RoundMode(rawValue: name) else {
            throw TensorError("attribute round_mode should be up, down or nearest, found \"\(name)\"")
        }
        self.mode = mode
    }
}

/// BitCast-26: the same bits under another type of the same width.
struct BitCast: Operator {
    let target: DType

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        if let dtype = try inputs[0].dtype, dtype == .string || dtype.bitWidth != target.bitWidth {
            throw TensorError("the bits of \(dtype) can't become \(target)")
        }
        return [Fact(dtype: target, shape: try inputs[0].shape)]
    }

    func run(_ context: inout RunContext) throws {
        guard target == .bool else { return try context.output(0).copyBits(from: context.input(0)) }
        // Swift has no truth values of other bytes than 0 and 1.
        let bits = try context.input(0).bytes
        try context.output(0).withMutableSpan(of: Bool.self) { values in
            for index in bits.indices { values[index] = bits[index] != 0 }
        }
    }
}
