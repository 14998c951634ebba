import Foundation
import GraphRuntime

/// What becomes of scores (ai.onnx.ml, attribute `post_transform`).
enum PostTransform: String, Sendable {
    case none = "NONE"
    case softmax = "SOFTMAX"
    case logistic = "LOGISTIC"
    case softmaxZero = "SOFTMAX_ZERO"
    case probit = "PROBIT"

    init(_ decoder: inout NodeDecoder) throws(TensorError) {
        let name = try decoder.string("post_transform", default: "NONE")
        guard let transform = PostTransform(rawValue: name) else {
            throw TensorError(
                "attribute post_transform should be NONE, SOFTMAX, LOGISTIC, SOFTMAX_ZERO or PROBIT, found \"\(name)\"")
        }
        self = transform
    }

    /// How the one score of a decision between two classes becomes two.
    enum SecondScore: Sendable {
        /// A probability: 1 - p, p.
        case complement
        /// A signed distance: -s, s.
        case negated
        /// It stays one.
        case none
    }

    /// The scores of a row after the transform. A single score may become two; then, as in ONNX Runtime, LOGISTIC makes probabilities of
    /// both signs of it, and the other transforms, which are for several classes, change nothing.
    func applied(to scores: [Double], second: SecondScore = .none) -> [Double] {
        guard scores.count == 1 else { return transformed(scores) }
        let score = scores[0]
        if self == .probit { return [Self.probit(score)] }
        switch second {
        case .none: return [score]
        case .complement, .negated:
            if self == .logistic { return [Self.logistic(-score), Self.logistic(score)] }
            return [second == .complement ? 1 - score : -score, score]
        }
    }

    /// The transform of the scores of several classes or targets.
    func transformed(_ scores: [Double]) -> [Double] {
        switch self {
        case .none: return scores
        case .probit: return scores.map(Self.probit)
        case .logistic: return scores.map(Self.logistic)
        case .softmax:
            let largest = scores.max() ?? 0
            let powers = scores.map { exp($0 - largest) }
            let sum = powers.reduce(0, +)
            return powers.map { $0 / sum }
        case .softmaxZero:
            // Scores of 0 stay so: they are of classes that no tree voted for.
            let largest = scores.max() ?? 0
            let powers = scores.map { abs($0) > 1e-7 ? exp($0 - largest) : $0 * exp(-largest) }
            let sum = zip(scores, powers).reduce(0) { abs($1.0) > 1e-7 ? $0 + $1.1 : $0 }
            return powers.map { $0 / sum }
        }
    }

    static func logistic(_ x: Double) -> Double {
        let value = 1 / (1 + exp(-abs(x)))
        return x < 0 ? 1 - value : value
    }

    /// √2 · erf⁻¹(2p - 1) by the approximation of Winitzki (2008), with which ONNX Runtime computes it.
    static func probit(_ p: Double) -> Double {
        let x = 2 * p - 1
        let rest = log((1 - x) * (1 + x))
        let first = 2 / (Double.pi * 0.147) + 0.5 * rest
        let root = (-first + (first * first - rest / 0.147).squareRoot()).squareRoot()
        return 1.41421356 * (x < 0 ? -root : root)
    }
}
