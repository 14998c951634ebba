import GraphRuntime

/// The element types that arithmetic is compiled for. Half and bfloat16 come widened, see ``Operator/floatingPointTypes``.
protocol NumericElement: TensorElement, Comparable {
    static var zero: Self { get }
    static var one: Self { get }
    /// Integers wrap around; nothing traps.
    static func sum(_ a: Self, _ b: Self) -> Self
    static func difference(_ a: Self, _ b: Self) -> Self
    static func product(_ a: Self, _ b: Self) -> Self
    /// Integers round towards zero; by zero gives 0.
    static func quotient(_ a: Self, _ b: Self) -> Self
    /// The smaller one; NaN where either is.
    static func lesser(_ a: Self, _ b: Self) -> Self
    static func greater(_ a: Self, _ b: Self) -> Self
    static var least: Self { get }
    static var largest: Self { get }
    var isNaN: Bool { get }
    var float: Float { get }
    var double: Double { get }
    /// Without the fraction; numbers out of range become the nearest in it, NaN becomes 0.
    var int64: Int64 { get }
    var uint64: UInt64 { get }
    /// Integers keep their lowest bits.
    static func converting<Source: NumericElement>(_ value: Source) -> Self
    /// The nearest number of this type; floating-point numbers lose their fraction first where this is an integer, NaN becomes 0.
    init(saturating value: Double)
}

extension NumericElement where Self: FixedWidthInteger {
    static var one: Self { 1 }
    static var least: Self { min }
    static var largest: Self { max }
    var isNaN: Bool { false }
    // Conversions of a concrete type are one instruction, those of a generic one a call.
    @inline(__always) var float: Float { Self.isSigned ? Float(int64) : Float(uint64) }
    @inline(__always) var double: Double { Self.isSigned ? Double(int64) : Double(uint64) }
    @inline(__always) var int64: Int64 { Int64(truncatingIfNeeded: self) }
    @inline(__always) var uint64: UInt64 { UInt64(truncatingIfNeeded: self) }

    @inline(__always) static func converting<Source: NumericElement>(_ value: Source) -> Self {
        Self.self == UInt64.self ? Self(truncatingIfNeeded: value.uint64) : Self(truncatingIfNeeded: value.int64)
    }

    @inline(__always) static func sum(_ a: Self, _ b: Self) -> Self { a &+ b }
    @inline(__always) static func difference(_ a: Self, _ b: Self) -> Self { a &- b }
    @inline(__always) static func product(_ a: Self, _ b: Self) -> Self { a &* b }
    @inline(__always) static func quotient(_ a: Self, _ b: Self) -> Self {
        b == 0 ? 0 : a.dividedReportingOverflow(by: b).partialValue
    }
    @inline(__always) static func lesser(_ a: Self, _ b: Self) -> Self { a < b ? a : b }
    @inline(__always) static func greater(_ a: Self, _ b: Self) -> Self { a > b ? a : b }

    init(saturating value: Double) {
        if value.isNaN {
            self = 0
        } else if value >= Double(Self.max) {
            // The double nearest to the largest Int64 is already beyond it.
            self = Self.max
        } else if value <= Double(Self.min) {
            self = Self.min
        } else {
            self = Self(value)
        }
    }
}

extension NumericElement where Self: BinaryFloatingPoint {
    static var one: Self { 1 }
    static var least: Self { -.infinity }
    static var largest: Self { .infinity }
    @inline(__always) var int64: Int64 { saturated(double) }
    // Negative numbers wrap around as they do for narrower types.
    @inline(__always) var uint64: UInt64 { self < 0 ? UInt64(bitPattern: int64) : UInt64(saturating: double) }

    @inline(__always) static func sum(_ a: Self, _ b: Self) -> Self { a + b }
    @inline(__always) static func difference(_ a: Self, _ b: Self) -> Self { a - b }
    @inline(__always) static func product(_ a: Self, _ b: Self) -> Self { a * b }
    @inline(__always) static func quotient(_ a: Self, _ b: Self) -> Self { a / b }
    @inline(__always) static func lesser(_ a: Self, _ b: Self) -> Self { a != a ? a : (a <= b ? a : b) }
    @inline(__always) static func greater(_ a: Self, _ b: Self) -> Self { a != a ? a : (a >= b ? a : b) }

    init(saturating value: Double) { self = Self(value) }
}

/// Without the fraction; the nearest integer in range, 0 for NaN.
@inline(__always)
private func saturated(_ value: Double) -> Int64 {
    if value >= 0x1p63 { return .max }
    if value < -0x1p63 { return .min }
    return value.isNaN ? 0 : Int64(value)
}

extension Float: NumericElement {
    @inline(__always) var float: Float { self }
    @inline(__always) var double: Double { Double(self) }
    @inline(__always) static func converting<Source: NumericElement>(_ value: Source) -> Float { value.float }
}

extension Double: NumericElement {
    @inline(__always) var float: Float { Float(self) }
    @inline(__always) var double: Double { self }
    @inline(__always) static func converting<Source: NumericElement>(_ value: Source) -> Double { value.double }
}

extension Int8: NumericElement {}
extension Int16: NumericElement {}
extension Int32: NumericElement {}
extension Int64: NumericElement {}
extension UInt8: NumericElement {}
extension UInt16: NumericElement {}
extension UInt32: NumericElement {}
extension UInt64: NumericElement {}

/// Work that is compiled once for each numeric element type.
protocol NumericVisitor {
    associatedtype Result
    func visit<Element: NumericElement>(_: Element.Type) throws -> Result
}

/// Work that is compiled once for each integer type.
protocol IntegerVisitor {
    associatedtype Result
    func visit<Element: NumericElement & FixedWidthInteger>(_: Element.Type) throws -> Result
}

/// Work that is compiled once for single and double precision.
protocol FloatVisitor {
    associatedtype Result
    func visit<Element: NumericElement & BinaryFloatingPoint>(_: Element.Type) throws -> Result
}

extension DType {
    /// float32, float64 and the integers of 8 bits and more.
    ///
    /// - Throws: ``TensorError`` for every other type.
    func dispatch<Visitor: NumericVisitor>(_ visitor: Visitor) throws -> Visitor.Result {
        switch self {
        case .float32: try visitor.visit(Float.self)
        case .float64: try visitor.visit(Double.self)
        case .int8: try visitor.visit(Int8.self)
        case .int16: try visitor.visit(Int16.self)
        case .int32: try visitor.visit(Int32.self)
        case .int64: try visitor.visit(Int64.self)
        case .uint8: try visitor.visit(UInt8.self)
        case .uint16: try visitor.visit(UInt16.self)
        case .uint32: try visitor.visit(UInt32.self)
        case .uint64: try visitor.visit(UInt64.self)
        default: throw TensorError("expected numbers, found \(self)")
        }
    }

    /// The integers of 8 bits and more.
    ///
    /// - Throws: ``TensorError`` for every other type.
    func dispatchInteger<Visitor: IntegerVisitor>(_ visitor: Visitor) throws -> Visitor.Result {
        switch self {
        case .int8: try visitor.visit(Int8.self)
        case .int16: try visitor.visit(Int16.self)
        case .int32: try visitor.visit(Int32.self)
        case .int64: try visitor.visit(Int64.self)
        case .uint8: try visitor.visit(UInt8.self)
        case .uint16: try visitor.visit(UInt16.self)
        case .uint32: try visitor.visit(UInt32.self)
        case .uint64: try visitor.visit(UInt64.self)
        default: throw TensorError("expected integers, found \(self)")
        }
    }

    /// float32 and float64.
    ///
    /// - Throws: ``TensorError`` for every other type.
    func dispatchFloat<Visitor: FloatVisitor>(_ visitor: Visitor) throws -> Visitor.Result {
        switch self {
        case .float32: try visitor.visit(Float.self)
        case .float64: try visitor.visit(Double.self)
        default: throw TensorError("expected floating-point numbers, found \(self)")
        }
    }

    /// float16, bfloat16, float32 and float64: what ONNX calls float tensors.
    var isFloat: Bool {
        switch self {
        case .float16, .bfloat16, .float32, .float64: true
        default: false
        }
    }

    /// The types that arithmetic runs in; half and bfloat16 are widened to float32 by the runtime.
    static let wideFloats: Set<DType> = [.float32, .float64]
}

/// The common type of inputs that must agree, nil where none is known yet.
///
/// - Throws: ``TensorError`` where two differ.
func commonType(_ inputs: InferenceInputs, _ range: Range<Int>) throws(TensorError) -> DType? {
    var result: DType?
    for index in range {
        guard let dtype = inputs.optional(index)?.dtype else { continue }
        if let known = result, known != dtype {
            throw TensorError("inputs of types \(known) and \(dtype) should have one type")
        }
        result = dtype
    }
    return result
}

/// The shape that all inputs broadcast to, nil where one isn't known yet.
///
/// - Throws: ``TensorError`` where they don't.
func commonShape(_ inputs: InferenceInputs, _ range: Range<Int>) throws(TensorError) -> Shape? {
    var result = Shape.scalar
    for index in range {
        guard let shape = try inputs[index].shape else { return nil }
        result = try result.broadcast(with: shape)
    }
    return result
}
