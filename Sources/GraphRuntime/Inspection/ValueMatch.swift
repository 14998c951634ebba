/// How far a number may lie from the one that is expected: |found - expected| <= absolute + relative · |expected|, as
/// numpy.testing.assert_allclose has it.
package struct MatchTolerance: Sendable {
    /// Allowed as a part of the expected element's own magnitude.
    package var relative: Double
    /// Allowed for every element.
    package var absolute: Double
    /// Allowed for every element, as a part of the largest finite magnitude in the whole tensor.
    package var ofLargest = 0.0
    /// Units in the last place of float16 and bfloat16 that are allowed beside the rest.
    package var halfUnits = 0.0
    /// The relative tolerance of bfloat16 at least.
    package var bfloat16Relative = 0.0

    /// What ONNX's own runner of backend tests allows: of bfloat16 two units in the last place, whatever the rest says.
    package static let standard = MatchTolerance(relative: 1e-3, absolute: 1e-7, bfloat16Relative: 0x1p-6)

    package init(
        relative: Double, absolute: Double, ofLargest: Double = 0, halfUnits: Double = 0, bfloat16Relative: Double = 0
    ) {
        self.relative = relative
        self.absolute = absolute
        self.ofLargest = ofLargest
        self.halfUnits = halfUnits
        self.bfloat16Relative = bfloat16Relative
    }
}

/// Comparison of values of any kind and element type with those that they should be.
package enum ValueMatch {
    /// What is different, as a part of a sentence.
    package enum Difference: Error, CustomStringConvertible {
        /// Another kind, element type or shape.
        case form(String)
        /// Other elements.
        case elements(String)

        package var description: String {
            switch self {
            case .form(let text), .elements(let text): text
            }
        }
    }

    /// Two NaN are equal whatever their bits, and an infinity only equals itself. Sequences are compared element by element.
    ///
    /// - Returns: nil where nothing differs.
    package static func difference(
        _ found: Value, _ expected: Value, within tolerance: MatchTolerance
    ) throws -> Difference? {
        switch (found, expected) {
        case (.empty, .empty): return nil
        case (.tensor(let a), .tensor(let b)): return try difference(a, b, within: tolerance)
        case (.sequence(let a), .sequence(let b)) where a.count == b.count:
            for (index, (x, y)) in zip(a, b).enumerated() {
                switch try difference(x, y, within: tolerance) {
                case .form(let text): return .form("tensor \(index) of the sequence is \(text)")
                case .elements(let text): return .elements("in tensor \(index) of the sequence \(text)")
                case nil: break
                }
            }
            return nil
        case (.map(let a), .map(let b)): return try difference(a, b, within: tolerance)
        case (.maps(let a), .maps(let b)) where a.count == b.count:
            for (index, (x, y)) in zip(a, b).enumerated() {
                switch try difference(x, y, within: tolerance) {
                case .form(let text): return .form("map \(index) of the sequence is \(text)")
                case .elements(let text): return .elements("in map \(index) of the sequence \(text)")
                case nil: break
                }
            }
            return nil
        default: return .form("\(found.kind), expected \(expected.kind)")
        }
    }

    /// Whatever the order of the keys.
    private static func difference(_ found: ValueMap, _ expected: ValueMap, within tolerance: MatchTolerance) throws
        -> Difference?
    {
        guard found.kind == expected.kind, found.count == expected.count else {
            return .form("\(found.kind) with \(found.count) keys, expected \(expected.kind) with \(expected.count)")
        }
        for (a, b) in zip(try found.order(), try expected.order()) {
            let key = try expected.text(ofKey: b)
            guard try found.text(ofKey: a).utf8.elementsEqual(key.utf8) else {
                return .form("a map with the key \(try found.text(ofKey: a)), expected \(key)")
            }
            let (x, y) = (try found.values.element(a), try expected.values.element(b))
            if case .elements(let text)? = try difference(x, y, within: tolerance) {
                return .elements("of the key \(key) \(text)")
            }
        }
        return nil
    }

    private static func difference(_ found: Tensor, _ expected: Tensor, within tolerance: MatchTolerance) throws -> Difference?
    {
        guard found.dtype == expected.dtype, found.shape == expected.shape else {
            return .form("\(found.dtype)\(found.shape), expected \(expected.dtype)\(expected.shape)")
        }
        if let a = found.strings, let b = expected.strings {
            let differing = a.indices.filter { a[$0] != b[$0] }
            guard let first = differing.first else { return nil }
            return .elements(
                sentence(differing.count, first, expected.shape, "\"\(a[first])\"", "\"\(b[first])\""))
        }
        let (a, b) = (try found.components(), try expected.components())
        // Of a complex number both parts together are one element.
        let width = found.dtype == .complex64 || found.dtype == .complex128 ? 2 : 1
        let largest = tolerance.ofLargest == 0 ? 0 : b.reduce(0) { $1.isFinite ? max($0, abs($1)) : $0 }
        let absolute = tolerance.absolute + tolerance.ofLargest * largest
        let relative = max(tolerance.relative, found.dtype == .bfloat16 ? tolerance.bfloat16Relative : 0)
        var (count, first, worst) = (0, 0, (index: 0, distance: -1.0))
        for index in 0..<found.count {
            let parts = width * index..<width * (index + 1)
            if parts.allSatisfy({ a[$0] == b[$0] || (a[$0].isNaN && b[$0].isNaN) }) { continue }
            let distance = magnitude(parts.map { a[$0] - b[$0] })
            let size = magnitude(parts.map { b[$0] })
            let allowed = max(absolute + relative * size, tolerance.halfUnits * unit(size, found.dtype))
            // An infinity would allow everything.
            if distance <= allowed, size.isFinite { continue }
            if count == 0 { first = index }
            count += 1
            let comparable = distance.isNaN ? .infinity : distance
            if comparable > worst.distance { worst = (index, comparable) }
        }
        guard count > 0 else { return nil }
        func shown(_ values: [Double], _ index: Int) -> String {
            width == 2 ? "\(values[2 * index]) + \(values[2 * index + 1])i" : number(values[index], found.dtype)
        }
        var text = sentence(count, first, expected.shape, shown(a, first), shown(b, first))
        if worst.index != first {
            let place = place(worst.index, expected.shape)
            text += ", most at \(place): found \(shown(a, worst.index)), expected \(shown(b, worst.index))"
        }
        return .elements(text)
    }

    private static func sentence(_ count: Int, _ first: Int, _ shape: Shape, _ found: String, _ expected: String) -> String {
        "\(count) of \(shape.count) elements \(count == 1 ? "differs" : "differ"), first at \(place(first, shape)): found \(found), "
            + "expected \(expected)"
    }

    /// As few digits as tell the number from others of its type.
    private static func number(_ value: Double, _ dtype: DType) -> String {
        if dtype == .float64 { return "\(value)" }
        if !dtype.isFloatingPoint, let whole = Int(exactly: value) { return "\(whole)" }
        return "\(Float(value))"
    }

    private static func magnitude(_ parts: [Double]) -> Double {
        parts.count == 1 ? abs(parts[0]) : (parts[0] * parts[0] + parts[1] * parts[1]).squareRoot()
    }

    /// The index of an element along each axis, as `[0, 3, 1]`.
    private static func place(_ index: Int, _ shape: Shape) -> String {
        var rest = index
        var place: [Int] = []
        for extent in shape.dimensions.reversed() {
            place.append(rest % max(extent, 1))
            rest /= max(extent, 1)
        }
        return "\(Array(place.reversed()))"
    }

    /// The unit in the last place of a number of a 16-bit type, 0 for other types.
    private static func unit(_ value: Double, _ dtype: DType) -> Double {
        guard value.isNormal else { return 0 }
        switch dtype {
        case .float16: return Double(sign: .plus, exponent: max(Int(value.exponent), -14) - 10, significand: 1)
        case .bfloat16: return Double(sign: .plus, exponent: Int(value.exponent) - 7, significand: 1)
        default: return 0
        }
    }
}

extension Tensor {
    /// All elements as float64, of complex numbers both parts; integers beyond 2⁵³ are rounded.
    fileprivate func components() throws -> [Double] {
        switch dtype {
        case .complex64: try parts(dtype: .float32).doubles()
        case .complex128: try parts(dtype: .float64).doubles()
        case .int4: codes.map { Double($0 < 8 ? Int($0) : Int($0) - 16) }
        case .int2: codes.map { Double($0 < 2 ? Int($0) : Int($0) - 4) }
        case .uint4, .uint2: codes.map { Double($0) }
        case .float4E2M1: codes.map { SmallFloat.float4E2M1.value($0) }
        case .float8E4M3FN: bytes.map { SmallFloat.float8E4M3FN.value($0) }
        case .float8E4M3FNUZ: bytes.map { SmallFloat.float8E4M3FNUZ.value($0) }
        case .float8E5M2: bytes.map { SmallFloat.float8E5M2.value($0) }
        case .float8E5M2FNUZ: bytes.map { SmallFloat.float8E5M2FNUZ.value($0) }
        case .float8E8M0: bytes.map { $0 == 0xFF ? .nan : Double(sign: .plus, exponent: Int($0) - 127, significand: 1) }
        default: try doubles()
        }
    }

    private func parts(dtype: DType) throws -> Tensor {
        try Tensor(dtype: dtype, shape: Shape([2 * count]), storage: storage, byteOffset: byteOffset)
    }

    /// The elements of a type of 4 or 2 bits, of which several share a byte, the first in its lowest bits.
    private var codes: [UInt8] {
        let (width, bytes) = (dtype.bitWidth, Array(bytes))
        return (0..<count).map { bytes[$0 * width / 8] >> UInt8($0 * width % 8) & (1 << UInt8(width) - 1) }
    }
}

/// A floating-point format of at most 8 bits, of which the highest is the sign.
private struct SmallFloat {
    let exponentBits: Int
    let fractionBits: Int
    let bias: Int
    /// Patterns without the sign from which on there is no number.
    var infinity = 0x100
    var firstNaN = 0x100
    /// Whether -0 is NaN instead.
    var hasNegativeZeroNaN = false

    static let float4E2M1 = SmallFloat(exponentBits: 2, fractionBits: 1, bias: 1)
    static let float8E4M3FN = SmallFloat(exponentBits: 4, fractionBits: 3, bias: 7, firstNaN: 0x7F)
    static let float8E4M3FNUZ = SmallFloat(exponentBits: 4, fractionBits: 3, bias: 8, hasNegativeZeroNaN: true)
    static let float8E5M2 = SmallFloat(exponentBits: 5, fractionBits: 2, bias: 15, infinity: 0x7C, firstNaN: 0x7D)
    static let float8E5M2FNUZ = SmallFloat(exponentBits: 5, fractionBits: 2, bias: 16, hasNegativeZeroNaN: true)

    func value(_ pattern: UInt8) -> Double {
        let signBit = 1 << (exponentBits + fractionBits)
        let (isNegative, magnitude) = (Int(pattern) & signBit != 0, Int(pattern) & (signBit - 1))
        if isNegative, magnitude == 0, hasNegativeZeroNaN { return .nan }
        if magnitude >= firstNaN { return .nan }
        let sign: FloatingPointSign = isNegative ? .minus : .plus
        if magnitude == infinity { return isNegative ? -.infinity : .infinity }
        let (exponent, fraction) = (magnitude >> fractionBits, magnitude & ((1 << fractionBits) - 1))
        let scaled = Double(exponent == 0 ? fraction : fraction + (1 << fractionBits))
        return Double(sign: sign, exponent: max(exponent, 1) - bias - fractionBits, significand: scaled)
    }
}
