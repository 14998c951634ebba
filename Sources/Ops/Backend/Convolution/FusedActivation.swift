import CKernels

/// An activation that a convolution applies to its own sums; one function for all channels.
enum FusedActivation: Sendable, Equatable {
    case function(ActivationFunction)
    case parametric(ParametricFunction, a: Float, b: Float)
    /// Brings numbers into a range.
    case clip(Float, Float)
    case tanh

    /// For profiles, as the operator is called.
    var name: String {
        switch self {
        case .function(.hardSwishDividedLast): ActivationFunction.hardSwish.rawValue
        case .function(.geluHalvedLast): ActivationFunction.gelu.rawValue
        case .function(let function): function.rawValue
        case .parametric(let function, let a, _): function == .swish && a == 1 ? "SiLU" : function.rawValue
        case .clip: "Clip"
        case .tanh: "Tanh"
        }
    }

    /// y = function(x); y may be x.
    func apply(_ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, count: Int) {
        switch self {
        case .function(let function): unsafe function.loop(x, y, count)
        case .parametric(let function, let a, let b): unsafe function.loop(x, y, count, a, b)
        case .clip(let least, let most): unsafe ck_clip(x, y, count, least, most)
        case .tanh: unsafe ck_tanh(x, y, count)
        }
    }

    /// For kernels that apply it to sums in registers; nil where they can't.
    var finish: ck_finish? {
        func finish(_ kind: Int, _ a: Float = 0, _ b: Float = 0) -> ck_finish {
            ck_finish(activation: Int32(kind), a: a, b: b)
        }
        return switch self {
        case .function(.relu): finish(CK_FINISH_RELU)
        case .function(.hardSwish): finish(CK_FINISH_HARD_SWISH, .infinity)
        case .function(.hardSwishDividedLast): finish(CK_FINISH_HARD_SWISH, .greatestFiniteMagnitude / 6)
        case .parametric(.leakyRelu, let a, _): finish(CK_FINISH_LEAKY_RELU, a)
        case .parametric(.hardSigmoid, let a, let b): finish(CK_FINISH_HARD_SIGMOID, a, b)
        case .parametric(.swish, 1, _): finish(CK_FINISH_SILU)
        case .clip(let least, let most): finish(CK_FINISH_CLIP, least, most)
        case .function, .parametric, .tanh: nil
        }
    }
}
