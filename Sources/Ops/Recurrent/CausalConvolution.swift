import Foundation
import GraphRuntime

/// CausalConvWithState-27: each channel's own convolution over its current and past steps, with what lies before the input given and
/// handed on as a state.
///
/// Input [batch, channels, length], weight [channels, 1, k], bias [channels], past state [batch, channels, k - 1]; gives the output, of
/// the input's shape, and the new state.
struct CausalConvolution: Operator {
    let hasSiLU: Bool

    var floatingPointTypes: Set<DType>? { [.float32] }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let input = try inputs[0]
        guard [nil, .float32, .float16, .bfloat16].contains(input.dtype) else {
            throw TensorError("expected float32, float16 or bfloat16, found an input of another type")
        }
        guard let x = input.shape, let w = try inputs[1].shape else { return [input, input].map { Fact(dtype: $0.dtype) } }
        guard x.rank == 3, w.rank == 3, w[0] == x[1], w[1] == 1, w[2] >= 1 else {
            throw TensorError("an input of shape \(x) and a weight of shape \(w) don't fit each other")
        }
        let state = try Shape([x[0], x[1], w[2] - 1])
        for (index, wanted) in [(2, try Shape([x[1]])), (3, state)] {
            if let found = inputs.optional(index)?.shape, found != wanted {
                throw TensorError("input \(index) should have shape \(wanted), found \(found)")
            }
        }
        return [Fact(dtype: input.dtype, shape: x), Fact(dtype: input.dtype, shape: state)]
    }

    func run(_ context: inout RunContext) throws {
        let (x, w) = (try context.input(0), try context.input(1))
        let (source, weights) = (try x.view(of: Float.self), try w.view(of: Float.self))
        let bias = try context.optionalInput(2)?.view(of: Float.self)
        let past = try context.optionalInput(3)?.view(of: Float.self)
        let (channels, length, k) = (x.shape[1], x.shape[2], w.shape[2])
        let (kept, hasSiLU) = (k - 1, hasSiLU)
        let grain = max(4096 / max(length, 1), 1)
        // Step `index` of a row with its state in front.
        @Sendable func value(_ row: Int, _ index: Int) -> Float {
            index < kept ? past?[row * kept + index] ?? 0 : source[row * length + index - kept]
        }
        try context.optionalOutput(0)?.forEachSlice(
            of: Float.self, unit: length, grain: grain, threads: context.threads
        ) { rows, output in
            for (place, row) in rows.enumerated() {
                let channel = row % channels
                for step in 0..<length {
                    var sum = bias?[channel] ?? 0
                    for tap in 0..<k { sum += weights[channel * k + tap] * value(row, step + tap) }
                    output[place * length + step] = hasSiLU ? sum / (1 + exp(-sum)) : sum
                }
            }
        }
        try context.optionalOutput(1)?.forEachSlice(
            of: Float.self, unit: kept, grain: grain, threads: context.threads
        ) { rows, present in
            for (place, row) in rows.enumerated() {
                for index in 0..<kept { present[place * kept + index] = value(row, length + index) }
            }
        }
    }

    static let definition = OperatorDefinition("CausalConvWithState", since: 27) { decoder in
        try decoder.requireInputs(2...4)
        switch try decoder.string("activation", default: "none") {
        case "none": return CausalConvolution(hasSiLU: false)
        case "silu", "swish": return CausalConvolution(hasSiLU: true)
        case let other: throw TensorError("attribute activation should be none, silu or swish, found \"\(other)\"")
        }
    }
}
