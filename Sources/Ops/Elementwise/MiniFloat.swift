import GraphRuntime

/// A floating-point format of 8 or 4 bits: what each code stands for, and the code nearest to a number.
///
/// Formats: P. Micikevicius et al., "FP8 Formats for Deep Learning" (E4M3FN, E5M2); B. Noune et al., "8-bit Numerical Formats for
/// Deep Neural Networks" (the FNUZ ones); OCP Microscaling Formats 1.0 (E2M1, E8M0).
struct MiniFloat: Sendable {
    /// How a number between two powers of two becomes one (attribute `round_mode` of Cast-24, for E8M0 alone).
    enum RoundMode: String, Sendable {
        case up, down, nearest
    }

    let dtype: DType
    /// The value of every code.
    let values: [Float]
    private let significandBits: Int
    private let bias: Int
    /// The inverse of the least number.
    private let multiplier: Float
    /// The code of the largest finite number.
    private let largest: UInt32
    private let signBit: UInt8
    private let nan: UInt8
    /// What an overflow gives without saturation; its sign is the number's unless the format has but one NaN.
    private let overflow: UInt8
    private let hasNegativeZero: Bool

    static func format(of dtype: DType) -> MiniFloat? { formats[dtype] }

    private static let formats: [DType: MiniFloat] = {
        let list = [
            MiniFloat(.float8E4M3FN, exponentBits: 4, significandBits: 3, bias: 7, largest: 0x7E, nan: 0x7F, overflow: 0x7F),
            MiniFloat(.float8E4M3FNUZ, exponentBits: 4, significandBits: 3, bias: 8, largest: 0x7F, nan: 0x80, overflow: 0x80),
            MiniFloat(.float8E5M2, exponentBits: 5, significandBits: 2, bias: 15, largest: 0x7B, nan: 0x7F, overflow: 0x7C),
            MiniFloat(.float8E5M2FNUZ, exponentBits: 5, significandBits: 2, bias: 16, largest: 0x7F, nan: 0x80, overflow: 0x80),
            // It has no NaN, and the specification says nothing; ONNX's cases give -0.
            MiniFloat(.float4E2M1, exponentBits: 2, significandBits: 1, bias: 1, largest: 7, nan: 8, overflow: 7),
        ]
        return Dictionary(uniqueKeysWithValues: list.map { ($0.dtype, $0) })
    }()

    private init(
        _ dtype: DType, exponentBits: Int, significandBits: Int, bias: Int, largest: Int, nan: UInt8, overflow: UInt8
    ) {
        self.dtype = dtype
        self.nan = nan
        self.overflow = overflow
        signBit = UInt8(1 << (exponentBits + significandBits))
        hasNegativeZero = nan != signBit || dtype == .float4E2M1
        let half = 1 << (exponentBits + significandBits)
        let positive = (0..<half).map { code -> Float in
            let exponent = code >> significandBits
            let fraction = Float(code & ((1 << significandBits) - 1)) / Float(1 << significandBits)
            if code > largest { return overflow == UInt8(code) && overflow != nan ? .infinity : .nan }
            return exponent == 0
                ? Float(sign: .plus, exponent: 1 - bias, significand: 1) * fraction
                : Float(sign: .plus, exponent: exponent - bias, significand: 1 + fraction)
        }
        (self.significandBits, self.bias, self.largest) = (significandBits, bias, UInt32(largest))
        multiplier = Float(sign: .plus, exponent: bias - 1 + significandBits, significand: 1)
        var all = positive + positive.map { -$0 }
        if !hasNegativeZero { all[half] = .nan }
        values = all
    }

    /// The nearest code, ties to the even one.
    ///
    /// - Parameter saturate: numbers beyond the largest become it, rather than infinite or NaN (tables of ONNX Cast-19).
    func code(_ value: Float, saturate: Bool) -> UInt8 {
        let sign = value.sign == .minus ? signBit : 0
        if value.isNaN { return hasNegativeZero ? nan | sign : nan }
        let nearest = nearestCode(value.magnitude)
        guard nearest <= largest else {
            if saturate { return UInt8(largest) | sign }
            return hasNegativeZero ? overflow | sign : overflow
        }
        return nearest == 0 && !hasNegativeZero ? 0 : UInt8(nearest) | sign
    }

    /// The code of a number that isn't negative, were the exponent of codes as wide as float32's.
    private func nearestCode(_ magnitude: Float) -> UInt32 {
        let least = UInt32(1 - bias + 127) << 23
        let bits = magnitude.bitPattern
        // Below the least normal number codes are multiples of the least one.
        if bits < least { return UInt32((magnitude * multiplier).rounded(.toNearestOrEven)) }
        let dropped = UInt32(23 - significandBits)
        let rounded = bits + (1 << (dropped - 1)) - 1 + (bits >> dropped & 1)
        return rounded >> dropped - UInt32(127 - bias) << UInt32(significandBits)
    }
}

/// E8M0: the powers of two from 2^-127 (code 0) to 2^127 (code 254), and NaN (code 255).
enum ScaleFloat {
    static func value(_ code: UInt8) -> Float {
        code == 255 ? .nan : Float(sign: .plus, exponent: Int(code) - 127, significand: 1)
    }

    static func code(_ value: Float, mode: MiniFloat.RoundMode, saturate: Bool) -> UInt8 {
        if value.isNaN { return 255 }
        let magnitude = value.magnitude
        if magnitude == 0 { return saturate ? 0 : 255 }
        if magnitude.isInfinite { return saturate ? 254 : 255 }
        var exponent = Int(magnitude.exponent)
        switch mode {
        case .down: break
        case .up: if magnitude.significand > 1 { exponent += 1 }
        case .nearest: if magnitude.significand >= 1.5 { exponent += 1 }
        }
        if exponent > 127 { return saturate ? 254 : 255 }
        if exponent < -127 { return saturate ? 0 : 255 }
        return UInt8(exponent + 127)
    }
}
