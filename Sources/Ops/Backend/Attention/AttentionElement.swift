import CKernels
import GraphRuntime

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// The element types that attention computes in, with what it does to rows of scores.
protocol AttentionElement: BLASElement {
    /// The largest element, -∞ of none.
    static func maximum(_ row: UnsafePointer<Self>, _ count: Int) -> Self
    /// x = e^(x - maximum); returns the sum.
    static func exponentiate(_ row: UnsafeMutablePointer<Self>, _ count: Int, maximum: Self) -> Double
    static func scale(_ row: UnsafeMutablePointer<Self>, _ count: Int, by factor: Self)
    /// x = x + mask; if `shutsOut`, -∞ wherever the mask is -∞, whatever x is.
    static func add(_ mask: UnsafePointer<Self>, to row: UnsafeMutablePointer<Self>, _ count: Int, shutsOut: Bool)
    /// x = -∞ wherever the mask is false.
    static func apply(_ mask: UnsafePointer<Bool>, to row: UnsafeMutablePointer<Self>, _ count: Int)
    /// x = cap·tanh(x / cap)
    static func softcap(_ row: UnsafeMutablePointer<Self>, _ count: Int, _ cap: Self)
    static func exponential(_ x: Self) -> Self
}

extension Float: AttentionElement {
    static func maximum(_ row: UnsafePointer<Float>, _ count: Int) -> Float { unsafe normalization_row_maximum(row, count) }

    static func exponentiate(_ row: UnsafeMutablePointer<Float>, _ count: Int, maximum: Float) -> Double {
        unsafe normalization_exponentials(row, row, count, maximum)
    }

    static func scale(_ row: UnsafeMutablePointer<Float>, _ count: Int, by factor: Float) {
        unsafe normalization_scale(row, count, factor)
    }

    static func add(_ mask: UnsafePointer<Float>, to row: UnsafeMutablePointer<Float>, _ count: Int, shutsOut: Bool) {
        if shutsOut { unsafe attention_add_mask(row, mask, count) } else { unsafe ck_accumulate(mask, row, count) }
    }

    static func apply(_ mask: UnsafePointer<Bool>, to row: UnsafeMutablePointer<Float>, _ count: Int) {
        unsafe mask.withMemoryRebound(to: UInt8.self, capacity: count) { unsafe attention_apply_mask(row, $0, count) }
    }

    static func softcap(_ row: UnsafeMutablePointer<Float>, _ count: Int, _ cap: Float) {
        for index in 0..<count { unsafe row[index] = unsafe cap * tanhf(row[index] / cap) }
    }

    static func exponential(_ x: Float) -> Float { expf(x) }
}

extension Double: AttentionElement {
    static func maximum(_ row: UnsafePointer<Double>, _ count: Int) -> Double {
        var result = -Double.infinity
        for index in 0..<count where unsafe row[index] > result { result = unsafe row[index] }
        return result
    }

    static func exponentiate(_ row: UnsafeMutablePointer<Double>, _ count: Int, maximum: Double) -> Double {
        var sum = 0.0
        for index in 0..<count {
            unsafe row[index] = unsafe exp(row[index] - maximum)
            unsafe sum += row[index]
        }
        return sum
    }

    static func scale(_ row: UnsafeMutablePointer<Double>, _ count: Int, by factor: Double) {
        for index in 0..<count { unsafe row[index] *= factor }
    }

    static func add(_ mask: UnsafePointer<Double>, to row: UnsafeMutablePointer<Double>, _ count: Int, shutsOut: Bool) {
        for index in 0..<count {
            unsafe row[index] = unsafe shutsOut && mask[index] == -.infinity ? -.infinity : row[index] + mask[index]
        }
    }

    static func apply(_ mask: UnsafePointer<Bool>, to row: UnsafeMutablePointer<Double>, _ count: Int) {
        for index in 0..<count where unsafe !mask[index] { unsafe row[index] = -.infinity }
    }

    static func softcap(_ row: UnsafeMutablePointer<Double>, _ count: Int, _ cap: Double) {
        for index in 0..<count { unsafe row[index] = unsafe cap * tanh(row[index] / cap) }
    }

    static func exponential(_ x: Double) -> Double { exp(x) }
}
