import Foundation
import GraphRuntime

/// ONNX NegativeLogLikelihoodLoss (12, 13, 22) and SoftmaxCrossEntropyLoss (12, 13): for scores [N, C, d1, …] and classes [N, d1, …]
/// the loss -w[class] · score[class], where SoftmaxCrossEntropyLoss takes the logarithm of the scores' softmax over C first, and gives
/// it as its second output.
struct LogLikelihoodLoss: Operator {
    enum Reduction: String {
        case none, sum
        /// The sum divided by the sum of the weights that went into it.
        case mean
    }

    let takesLogits: Bool
    let reduction: Reduction
    /// The class of samples that don't count.
    let ignoredClass: Int?

    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let scores = try inputs[0]
        if let dtype = scores.dtype, !dtype.isFloat { throw TensorError("expected floating-point numbers, found \(dtype)") }
        let log = takesLogits ? [Fact(dtype: scores.dtype, shape: scores.shape)] : []
        guard let shape = scores.shape, let classes = try inputs[1].shape else { return [Fact(dtype: scores.dtype)] + log }
        guard shape.rank >= 2, classes.dimensions == [shape[0]] + shape.dimensions[2...] else {
            throw TensorError("scores of shape \(shape) and classes of shape \(classes) don't fit each other")
        }
        if let weight = inputs.optional(2)?.shape, weight.dimensions != [shape[1]] {
            throw TensorError("the weights of \(shape[1]) classes should have shape [\(shape[1])], found \(weight)")
        }
        return [Fact(dtype: scores.dtype, shape: reduction == .none ? classes : .scalar)] + log
    }

    func run(_ context: inout RunContext) throws {
        if try context.input(0).dtype == .float64 {
            try run(context, Double.self)
        } else {
            try run(context, Float.self)
        }
    }

    private func run<Element: NumericElement & BinaryFloatingPoint>(_ context: RunContext, _ type: Element.Type) throws {
        let (tensor, labels) = (try context.input(0), try context.input(1))
        let scores = try tensor.view(of: type)
        let (takesLogits, ignoredClass) = (takesLogits, ignoredClass)
        let classes = try labels.integers()
        let (count, inner) = (tensor.shape[1], tensor.shape.count(2..<tensor.shape.rank))
        let weights = try context.optionalInput(2)?.view(of: type)
        if let wrong = classes.first(where: { $0 != ignoredClass && !(0..<count).contains($0) }) {
            throw TensorError("class \(wrong) is outside of the \(count) classes")
        }
        let grain = max((1 << 14) / max(count, 1), 1)
        let losses = try MutableTensor(dtype: .float64, shape: labels.shape)
        let logSums = try MutableTensor(dtype: .float64, shape: labels.shape)
        try losses.forEachSlice(
            of: Double.self, and: logSums, of: Double.self, grain: grain, threads: context.threads
        ) { samples, losses, logSums in
            for (index, sample) in samples.enumerated() {
                let start = sample / inner * count * inner + sample % inner
                let places = stride(from: start, to: start + count * inner, by: inner)
                var logSum = 0.0
                if takesLogits {
                    let largest = places.reduce(-Double.infinity) { max($0, scores[$1].double) }
                    logSum = largest + log(places.reduce(0.0) { $0 + exp(scores[$1].double - largest) })
                }
                logSums[index] = logSum
                let label = classes[sample]
                losses[index] =
                    label == ignoredClass
                    ? 0 : (logSum - scores[start + label * inner].double) * (weights?[label].double ?? 1)
            }
        }
        if takesLogits {
            let sums = try logSums.finish().view(of: Double.self)
            try context.optionalOutput(1)?.forEachLine(
                of: type, count: count, inner: inner, grain: grain, threads: context.threads
            ) { sample, logs in
                let start = sample / inner * count * inner + sample % inner
                for index in 0..<count {
                    logs[index] = .converting(scores[start + index * inner].double - sums[sample])
                }
            }
        }
        guard let output = context.optionalOutput(0) else { return }
        let values = try losses.finish().view(of: Double.self)
        try output.withMutableSpan(of: type) { target in
            switch reduction {
            case .none: for index in 0..<target.count { target[index] = .converting(values[index]) }
            case .sum: target[0] = .converting(values.reduce(0, +))
            case .mean:
                let total = classes.reduce(0.0) { $1 == ignoredClass ? $0 : $0 + (weights?[$1].double ?? 1) }
                target[0] = .converting(values.reduce(0, +) / total)
            }
        }
    }

    private static func definitions(_ type: String, since versions: [Int], takesLogits: Bool) -> [OperatorDefinition] {
        OperatorDefinition.all(type, since: versions) { decoder in
            try decoder.requireInputs(2...3)
            let text = try decoder.string("reduction", default: "mean")
            guard let reduction = Reduction(rawValue: text) else {
                throw TensorError("attribute reduction should be none, sum or mean, found \"\(text)\"")
            }
            return LogLikelihoodLoss(
                takesLogits: takesLogits, reduction: reduction, ignoredClass: try decoder.optionalInt("ignore_index"))
        }
    }

    static let definitions =
        definitions("NegativeLogLikelihoodLoss", since: [12, 13, 22], takesLogits: false)
        + definitions("SoftmaxCrossEntropyLoss", since: [12, 13], takesLogits: true)
}
