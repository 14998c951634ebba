import Foundation

/// The Box–Muller transform as PyTorch's CPU kernels evaluate it: z₀ = √(−2 ln u₁) cos 2πu₂, z₁ = √(−2 ln u₁) sin 2πu₂
/// (Box and Muller 1958).
enum BoxMuller {
    /// Uniforms are transformed in groups of this many: eight radii followed by their eight angles.
    static let groupSize = 16

    /// Turns 16 uniforms of [0, 1) starting at `start` into 16 standard normal numbers, in place.
    ///
    /// PyTorch evaluates single precision with Cephes' `logf` and `sincosf` (S. Moshier, Cephes Math Library 2.2,
    /// functions of the same names), eight lanes at a time and with fused multiply-adds. The same polynomials in the same
    /// order, rounded at the same places, give the same bits; the platform's libm has no part in it.
    static func transformGroup(_ values: inout [Float], at start: Int) {
        for lane in start..<start + groupSize / 2 {
            let radius = (-2 * logarithm(1 - values[lane])).squareRoot()
            let angle = sineAndCosine(Float(2 * Double.pi) * values[lane + groupSize / 2])
            // Adding zero is the mean's addition, which turns a negative zero into a positive one.
            values[lane] = radius * angle.cosine + 0
            values[lane + groupSize / 2] = radius * angle.sine + 0
        }
    }

    /// The same in double precision, where PyTorch calls the C library's functions.
    static func transformGroup(_ values: inout [Double], at start: Int) {
        for lane in start..<start + groupSize / 2 {
            let radius = (-2 * log(1 - values[lane])).squareRoot()
            let angle = 2 * Double.pi * values[lane + groupSize / 2]
            values[lane] = radius * cos(angle) + 0
            values[lane + groupSize / 2] = radius * sin(angle) + 0
        }
    }

    /// Both normal numbers of one pair of uniforms of [0, 1), in double precision.
    static func pair(angle: Double, radius: Double) -> (first: Double, second: Double) {
        let radius = (-2 * log1p(-radius)).squareRoot()
        let angle = 2 * Double.pi * angle
        return (radius * cos(angle), radius * sin(angle))
    }

    /// ln x for normal x in (0, 1].
    private static func logarithm(_ x: Float) -> Float {
        let bits = x.bitPattern
        var mantissa = Float(bitPattern: (bits & 0x007f_ffff) | 0x3f00_0000)
        var exponent = Float(Int32(bits >> 23) - 126)
        if mantissa < 0.707106781186547524 {
            exponent -= 1
            mantissa += mantissa - 1
        } else {
            mantissa -= 1
        }
        let square = mantissa * mantissa
        var y: Float = 7.0376836292e-2
        y = Float(-1.1514610310e-1).addingProduct(y, mantissa)
        y = Float(1.1676998740e-1).addingProduct(y, mantissa)
        y = Float(-1.2420140846e-1).addingProduct(y, mantissa)
        y = Float(1.4249322787e-1).addingProduct(y, mantissa)
        y = Float(-1.6668057665e-1).addingProduct(y, mantissa)
        y = Float(2.0000714765e-1).addingProduct(y, mantissa)
        y = Float(-2.4999993993e-1).addingProduct(y, mantissa)
        y = Float(3.3333331174e-1).addingProduct(y, mantissa)
        y *= mantissa
        y = (exponent * -2.12194440e-4).addingProduct(y, square)
        y = y.addingProduct(-square, 0.5)
        return (mantissa + y).addingProduct(exponent, 0.693359375)
    }

    /// sin x and cos x for x in [0, 2π).
    private static func sineAndCosine(_ x: Float) -> (sine: Float, cosine: Float) {
        // The octant, rounded up to an even one; π/4 times it is taken off in three parts of decreasing size.
        let octant = (Int32(x * 1.27323954473516) + 1) & ~1
        let turns = Float(octant)
        var x = x.addingProduct(turns, -0.78515625)
        x = x.addingProduct(turns, -2.4187564849853515625e-4)
        x = x.addingProduct(turns, -3.77489497744594108e-8)
        let square = x * x

        var cosine: Float = 2.443315711809948e-5
        cosine = Float(-1.388731625493765e-3).addingProduct(cosine, square)
        cosine = Float(4.166664568298827e-2).addingProduct(cosine, square)
        cosine *= square
        cosine = (-(square * 0.5)).addingProduct(cosine, square) + 1

        var sine: Float = -1.9515295891e-4
        sine = Float(8.3321608736e-3).addingProduct(sine, square)
        sine = Float(-1.6666654611e-1).addingProduct(sine, square)
        sine *= square
        sine = x.addingProduct(sine, x)

        switch octant & 6 {
        case 0: return (sine, cosine)
        case 2: return (cosine, -sine)
        case 4: return (-sine, -cosine)
        default: return (-cosine, sine)
        }
    }
}
