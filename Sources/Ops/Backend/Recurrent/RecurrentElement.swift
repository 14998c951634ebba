import CKernels

/// A type of the numbers of recurrent operators.
protocol RecurrentElement: BLASElement, NumericElement {
    /// Replaces numbers by a function of them.
    static func apply(_ function: RecurrentFunction, _ values: UnsafeMutablePointer<Self>, count: Int)
    /// Brings numbers into -bound...bound; NaN stays.
    static func clip(_ values: UnsafeMutablePointer<Self>, count: Int, to bound: Double)
}

extension Double: RecurrentElement {
    static func apply(_ function: RecurrentFunction, _ values: UnsafeMutablePointer<Double>, count: Int) {
        for j in 0..<count { unsafe values[j] = unsafe function(values[j]) }
    }

    static func clip(_ values: UnsafeMutablePointer<Double>, count: Int, to bound: Double) {
        for j in 0..<count {
            let value = unsafe values[j]
            unsafe values[j] = value < -bound ? -bound : value > bound ? bound : value
        }
    }
}

extension Float: RecurrentElement {
    static func apply(_ function: RecurrentFunction, _ values: UnsafeMutablePointer<Float>, count: Int) {
        switch function.kind {
        case .sigmoid: unsafe ck_sigmoid(values, values, count)
        case .tanh: unsafe ck_tanh(values, values, count)
        case .relu: unsafe ck_relu(values, values, count)
        case .hardsigmoid: unsafe ck_hard_sigmoid(values, values, count, Float(function.alpha), Float(function.beta))
        default: for j in 0..<count { unsafe values[j] = unsafe Float(function(Double(values[j]))) }
        }
    }

    static func clip(_ values: UnsafeMutablePointer<Float>, count: Int, to bound: Double) {
        unsafe ck_clip(values, values, count, -Float(bound), Float(bound))
    }
}
