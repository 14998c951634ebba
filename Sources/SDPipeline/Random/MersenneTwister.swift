/// The 32-bit Mersenne Twister MT19937.
///
/// Matsumoto and Nishimura, "Mersenne Twister: a 623-dimensionally equidistributed uniform pseudo-random number
/// generator", ACM TOMACS 8 (1998), with the initialisation of its 2002 revision (multiplier 1812433253).
struct MersenneTwister: Sendable {
    private static let size = 624
    private static let offset = 397

    private var state: [UInt32]
    private var next = size

    init(seed: UInt32) {
        state = [seed]
        state.reserveCapacity(Self.size)
        var last = seed
        for index in 1..<UInt32(Self.size) {
            last = 1_812_433_253 &* (last ^ (last >> 30)) &+ index
            state.append(last)
        }
    }

    /// The next 32 random bits.
    mutating func next32() -> UInt32 {
        if next == Self.size {
            advance()
            next = 0
        }
        var bits = state[next]
        next += 1
        bits ^= bits >> 11
        bits ^= (bits << 7) & 0x9d2c_5680
        bits ^= (bits << 15) & 0xefc6_0000
        return bits ^ (bits >> 18)
    }

    /// Two successive draws, the first in the high half.
    mutating func next64() -> UInt64 {
        let high = UInt64(next32())
        return high << 32 | UInt64(next32())
    }

    private mutating func advance() {
        for index in 0..<Self.size {
            let following = state[index + 1 == Self.size ? 0 : index + 1]
            let mixed = (state[index] & 0x8000_0000) | (following & 0x7fff_ffff)
            let source = index + Self.offset
            let partner = state[source < Self.size ? source : source - Self.size]
            state[index] = partner ^ (mixed >> 1) ^ (mixed & 1 == 0 ? 0 : 0x9908_b0df)
        }
    }
}
