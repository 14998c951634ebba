import Foundation
import GraphRuntime

/// An activation function of RNN, GRU or LSTM (ONNX LSTM-22, "Activation functions").
struct RecurrentFunction: Sendable {
    enum Kind: String {
        case relu, tanh, sigmoid, affine, leakyrelu, thresholdedrelu, scaledtanh, hardsigmoid, elu, softsign, softplus

        /// The defaults of alpha and beta, nil where the function has none.
        var defaults: (alpha: Float?, beta: Float?) {
            switch self {
            case .affine: (1, 0)
            case .scaledtanh: (1, 1)
            case .leakyrelu: (0.01, nil)
            case .thresholdedrelu, .elu: (1, nil)
            case .hardsigmoid: (0.2, 0.5)
            case .relu, .tanh, .sigmoid, .softsign, .softplus: (nil, nil)
            }
        }
    }

    let kind: Kind
    let alpha: Double
    let beta: Double

    func callAsFunction(_ x: Double) -> Double {
        switch kind {
        case .relu: x < 0 ? 0 : x
        case .tanh: tanh(x)
        case .sigmoid: 1 / (1 + exp(-x))
        case .affine: alpha * x + beta
        case .leakyrelu: x < 0 ? alpha * x : x
        case .thresholdedrelu: x < alpha ? 0 : x
        case .scaledtanh: alpha * tanh(beta * x)
        case .hardsigmoid: min(max(alpha * x + beta, 0), 1)
        case .elu: x < 0 ? alpha * expm1(x) : x
        case .softsign: x / (1 + abs(x))
        case .softplus: max(x, 0) + log1p(exp(-abs(x)))
        }
    }

    /// The functions that the attributes `activations`, `activation_alpha` and `activation_beta` name. Names don't tell upper from
    /// lower case; each number goes to the next function that takes one, as ONNX Runtime reads the specification.
    ///
    /// - Parameter names: what holds where the attribute isn't given.
    /// - Throws: ``TensorError`` for unknown functions and for more or fewer than `names`.
    static func decode(_ decoder: inout NodeDecoder, default names: [String]) throws -> [RecurrentFunction] {
        let given = try decoder.optionalStrings("activations") ?? names
        guard given.count == names.count else {
            throw TensorError("attribute activations should name \(names.count) functions, found \(given.count)")
        }
        var alphas = try (decoder.optionalFloats("activation_alpha") ?? [])[...]
        var betas = try (decoder.optionalFloats("activation_beta") ?? [])[...]
        return try given.map { name in
            guard let kind = Kind(rawValue: name.lowercased()) else {
                throw TensorError("the activation function \"\(name)\" isn't known")
            }
            let alpha = kind.defaults.alpha.map { alphas.popFirst() ?? $0 } ?? 0
            let beta = kind.defaults.beta.map { betas.popFirst() ?? $0 } ?? 0
            return RecurrentFunction(kind: kind, alpha: Double(alpha), beta: Double(beta))
        }
    }
}
