import Foundation
import GraphRuntime

/// Bernoulli-15 and Bernoulli-22: 1 with the probability that the input states, else 0.
struct Bernoulli: Operator {
    /// Nil for the input's type.
    let dtype: DType?
    let seed: Float?

    var isDeterministic: Bool { false }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        [Fact(dtype: try dtype ?? inputs[0].dtype, shape: try inputs[0].shape)]
    }

    func run(_ context: inout RunContext) throws {
        let probabilities = try cast(context.input(0), to: .float64, threads: context.threads)
        var source = RandomSource(seed: seed)
        let draws = try probabilities.array(of: Double.self).map { source.uniform() < $0 ? UInt8(1) : 0 }
        try cast(Tensor(draws, shape: probabilities.shape), into: context.output(0), threads: context.threads)
    }

    static let definition = OperatorDefinition("Bernoulli", since: 15) { decoder in
        try decoder.requireInputs(1...1)
        return Bernoulli(dtype: try decoder.optionalDType("dtype"), seed: try decoder.optionalFloat("seed"))
    }
}

/// Multinomial-7 and Multinomial-22: for each row of unnormalised logarithms of probabilities, classes drawn with them.
struct Multinomial: Operator {
    let dtype: DType
    let sampleCount: Int
    let seed: Float?

    var isDeterministic: Bool { false }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        guard let shape = try inputs[0].shape else { return [Fact(dtype: dtype)] }
        guard shape.rank == 2, shape[1] > 0 else { throw TensorError("expected shape [batch, classes], found \(shape)") }
        return [Fact(dtype: dtype, shape: try Shape([shape[0], sampleCount]))]
    }

    func run(_ context: inout RunContext) throws {
        let input = try cast(context.input(0), to: .float64, threads: context.threads)
        let logits = try input.array(of: Double.self)
        let classes = input.shape[1]
        var source = RandomSource(seed: seed)
        var draws: [Int64] = []
        for row in 0..<input.shape[0] {
            let own = logits[row * classes..<(row + 1) * classes]
            let largest = own.max() ?? 0
            var total = 0.0
            let sums = own.map { logit -> Double in
                total += exp(logit - largest)
                return total
            }
            for _ in 0..<sampleCount {
                let target = source.uniform() * total
                draws.append(Int64(sums.firstIndex { $0 > target } ?? classes - 1))
            }
        }
        try cast(Tensor(draws, shape: context.output(0).shape), into: context.output(0), threads: context.threads)
    }

    static let definition = OperatorDefinition("Multinomial", since: 7) { decoder in
        try decoder.requireInputs(1...1)
        let dtype = try decoder.optionalDType("dtype") ?? .int32
        guard dtype == .int32 || dtype == .int64 else {
            throw TensorError("attribute dtype should be int32 or int64, found \(dtype)")
        }
        return Multinomial(
            dtype: dtype, sampleCount: try decoder.int("sample_size", default: 1), seed: try decoder.optionalFloat("seed"))
    }
}
