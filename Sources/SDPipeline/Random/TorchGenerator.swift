/// Draws the numbers that `torch.Generator("cpu").manual_seed(seed)` draws, in the same order.
///
/// The source is MT19937, seeded with the low 32 bits of the seed as PyTorch does (so 5 and 2³² + 5 give the same numbers).
///
/// Normal numbers follow PyTorch's two algorithms. From 16 numbers on, all uniforms are drawn first and transformed in
/// groups of 16 (eight radii, eight angles); where the count is no multiple of 16, the last 16 numbers are drawn anew.
/// Below 16 numbers, each pair of double-precision uniforms gives two normal numbers, the second of which is kept for the
/// next such call, also across calls that take the other road.
///
/// Single-precision numbers of the first road equal, bit for bit, those of PyTorch on an x86 machine with AVX2 (or more);
/// on other machines PyTorch's own differ from these in the last places. The second road and double precision call the C
/// library's `log1p`, `log`, `cos` and `sin`, and are as equal as two C libraries are.
public struct TorchGenerator: Sendable {
    private var engine: MersenneTwister
    private var cachedNormal: Double?

    /// - Parameter seed: any value; PyTorch uses its low 32 bits.
    public init(seed: UInt64) {
        engine = MersenneTwister(seed: UInt32(truncatingIfNeeded: seed))
    }

    /// - Parameter signedSeed: as Python passes it; a negative seed stands for its two's complement, so −1 is 2⁶⁴ − 1.
    public init(signedSeed: Int64) {
        self.init(seed: UInt64(bitPattern: signedSeed))
    }

    /// `torch.rand(count)`: single-precision uniforms of [0, 1) with 24 random bits each. A negative count draws none.
    public mutating func rand(count: Int) -> [Float] {
        (0..<max(0, count)).map { _ in nextUniform() }
    }

    /// `torch.rand(count, dtype=torch.float64)`: uniforms of [0, 1) with 53 random bits each. A negative count draws none.
    public mutating func randDouble(count: Int) -> [Double] {
        (0..<max(0, count)).map { _ in nextDoubleUniform() }
    }

    /// `torch.randn(count)`: standard normal numbers in single precision. A negative count draws none.
    ///
    /// A tensor is drawn as a whole, in row-major order: `randn(count: 4 * 64 * 64)` equals `torch.randn(1, 4, 64, 64)`,
    /// while four calls for a quarter each equal four calls of `torch.randn`.
    public mutating func randn(count: Int) -> [Float] {
        guard count >= BoxMuller.groupSize else {
            return (0..<max(0, count)).map { _ in Float(nextNormal()) }
        }
        var values = rand(count: count)
        let whole = count - count % BoxMuller.groupSize
        for start in stride(from: 0, to: whole, by: BoxMuller.groupSize) {
            BoxMuller.transformGroup(&values, at: start)
        }
        if whole < count {
            let start = count - BoxMuller.groupSize
            for index in start..<count {
                values[index] = nextUniform()
            }
            BoxMuller.transformGroup(&values, at: start)
        }
        return values
    }

    /// `torch.randn(count, dtype=torch.float64)`: standard normal numbers in double precision. A negative count draws none.
    public mutating func randnDouble(count: Int) -> [Double] {
        guard count >= BoxMuller.groupSize else {
            return (0..<max(0, count)).map { _ in nextNormal() }
        }
        var values = randDouble(count: count)
        let whole = count - count % BoxMuller.groupSize
        for start in stride(from: 0, to: whole, by: BoxMuller.groupSize) {
            BoxMuller.transformGroup(&values, at: start)
        }
        if whole < count {
            let start = count - BoxMuller.groupSize
            for index in start..<count {
                values[index] = nextDoubleUniform()
            }
            BoxMuller.transformGroup(&values, at: start)
        }
        return values
    }

    /// `torch.randint(upperBound, (count,))`: integers of 0 ..< `upperBound`, as 32 random bits modulo the bound.
    ///
    /// A negative count draws none; a bound of 0 gives zeros.
    public mutating func randint(below upperBound: UInt32, count: Int) -> [Int] {
        (0..<max(0, count)).map { _ in
            let bits = engine.next32()
            return upperBound == 0 ? 0 : Int(bits % upperBound)
        }
    }

    private mutating func nextUniform() -> Float {
        Float(engine.next32() & 0xff_ffff) * 0x1p-24
    }

    private mutating func nextDoubleUniform() -> Double {
        Double(engine.next64() & 0x1f_ffff_ffff_ffff) * 0x1p-53
    }

    private mutating func nextNormal() -> Double {
        if let value = cachedNormal {
            cachedNormal = nil
            return value
        }
        let angle = nextDoubleUniform()
        let radius = nextDoubleUniform()
        let pair = BoxMuller.pair(angle: angle, radius: radius)
        cachedNormal = pair.second
        return pair.first
    }
}
