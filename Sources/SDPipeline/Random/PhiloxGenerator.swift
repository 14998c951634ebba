import Foundation

/// Draws the normal numbers that `torch.Generator("cuda").manual_seed(seed)` draws for `torch.randn`.
///
/// The source is Philox 4×32 with ten rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), a function of a key
/// and a counter: the key is the seed, the counter has the number of the call in its low half and the number of the element in its high
/// half. An element is one number of the Box–Muller transform as cuRAND evaluates it, √(−2 ln u) sin v, of the first two of the four words.
///
/// This is what a GPU draws that has a thread for each element of a call: 65,536 of a picture of 1024×1024 pixels, which GPUs of 32
/// multiprocessors have. With fewer, threads take several elements each, and later elements are others. cuRAND's sine is less exact than
/// that of a CPU, so that numbers are equal to about 1e-6.
public struct PhiloxGenerator: Sendable {
    private let seed: UInt64
    /// Calls so far.
    private var calls: UInt64 = 0

    /// - Parameter seed: any value, of which all bits count.
    public init(seed: UInt64) { self.seed = seed }

    /// `torch.randn(count, device="cuda")`. A negative count draws none.
    public mutating func randn(count: Int) -> [Float] {
        guard count > 0 else { return [] }
        let call = calls
        calls &+= 1
        return (0..<UInt64(count)).map { element in
            let words = Self.words(
                counter: (
                    UInt32(truncatingIfNeeded: call), UInt32(truncatingIfNeeded: call >> 32),
                    UInt32(truncatingIfNeeded: element), UInt32(truncatingIfNeeded: element >> 32)
                ), key: (UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32)))
            return Self.normal(words.0, words.1)
        }
    }

    /// The four words of a counter, after ten rounds; constants are those of the paper.
    public static func words(counter: (UInt32, UInt32, UInt32, UInt32), key: (UInt32, UInt32)) -> (
        UInt32, UInt32, UInt32, UInt32
    ) {
        var (a, b, c, d) = counter
        var key = key
        for _ in 0..<10 {
            let first = a.multipliedFullWidth(by: 0xD251_1F53)
            let second = c.multipliedFullWidth(by: 0xCD9E_8D57)
            (a, b, c, d) = (second.high ^ b ^ key.0, second.low, first.high ^ d ^ key.1, first.low)
            key = (key.0 &+ 0x9E37_79B9, key.1 &+ 0xBB67_AE85)
        }
        return (a, b, c, d)
    }

    /// A normal number of two words, in single precision up to the functions: u = (x + ½) 2⁻³², v = (y + ½) 2π 2⁻³².
    private static func normal(_ x: UInt32, _ y: UInt32) -> Float {
        let step: Float = 0x1p-32
        let turn = step * Float(2 * Double.pi)
        let u = (step / 2).addingProduct(Float(x), step)
        let v = (turn / 2).addingProduct(Float(y), turn)
        let radius = Float((-2 * log(Double(u))).squareRoot())
        return radius * Float(sin(Double(v)))
    }
}
