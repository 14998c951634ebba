import GraphRuntime

/// ONNX And-7, Or-7, Xor-7 on truth values and BitwiseAnd-18, BitwiseOr-18, BitwiseXor-18 on integers.
enum LogicalFunction: String, Sendable {
    case and = "And"
    case or = "Or"
    case xor = "Xor"
}

private enum BoolAnd: BinaryKernel {
    @inline(__always) static func apply(_ a: Bool, _ b: Bool) -> Bool { a && b }
}

private enum BoolOr: BinaryKernel {
    @inline(__always) static func apply(_ a: Bool, _ b: Bool) -> Bool { a || b }
}

private enum BoolXor: BinaryKernel {
    @inline(__always) static func apply(_ a: Bool, _ b: Bool) -> Bool { a != b }
}

private enum BoolNot: UnaryKernel {
    @inline(__always) static func apply(_ x: Bool) -> Bool { !x }
}

private enum BitsAnd<Element: TensorElement & FixedWidthInteger>: BinaryKernel {
    @inline(__always) static func apply(_ a: Element, _ b: Element) -> Element { a & b }
}

private enum BitsOr<Element: TensorElement & FixedWidthInteger>: BinaryKernel {
    @inline(__always) static func apply(_ a: Element, _ b: Element) -> Element { a | b }
}

private enum BitsXor<Element: TensorElement & FixedWidthInteger>: BinaryKernel {
    @inline(__always) static func apply(_ a: Element, _ b: Element) -> Element { a ^ b }
}

private enum BitsNot<Element: TensorElement & FixedWidthInteger>: UnaryKernel {
    @inline(__always) static func apply(_ x: Element) -> Element { ~x }
}

/// y = function(a, b), broadcast, of truth values or bit by bit.
///
/// - Throws: ``TensorError`` for types that are neither bool nor integers, or differ.
func logical(_ function: LogicalFunction, _ a: Tensor, _ b: Tensor, into y: MutableTensor, threads: ThreadPool) throws {
    if a.dtype == .bool {
        switch function {
        case .and: return try broadcast(BoolAnd.self, a, b, into: y, threads: threads)
        case .or: return try broadcast(BoolOr.self, a, b, into: y, threads: threads)
        case .xor: return try broadcast(BoolXor.self, a, b, into: y, threads: threads)
        }
    }
    struct Visitor: IntegerVisitor {
        let function: LogicalFunction
        let a: Tensor
        let b: Tensor
        let y: MutableTensor
        let threads: ThreadPool

        func visit<Element: NumericElement & FixedWidthInteger>(_: Element.Type) throws {
            switch function {
            case .and: try broadcast(BitsAnd<Element>.self, a, b, into: y, threads: threads)
            case .or: try broadcast(BitsOr<Element>.self, a, b, into: y, threads: threads)
            case .xor: try broadcast(BitsXor<Element>.self, a, b, into: y, threads: threads)
            }
        }
    }
    try a.dtype.dispatchInteger(Visitor(function: function, a: a, b: b, y: y, threads: threads))
}

/// y = the complement of x: of truth values, or bit by bit.
func complement(_ x: Tensor, into y: MutableTensor, threads: ThreadPool) throws {
    if x.dtype == .bool { return try map(BoolNot.self, x, into: y, threads: threads) }
    struct Visitor: IntegerVisitor {
        let x: Tensor
        let y: MutableTensor
        let threads: ThreadPool

        func visit<Element: NumericElement & FixedWidthInteger>(_: Element.Type) throws {
            try map(BitsNot<Element>.self, x, into: y, threads: threads)
        }
    }
    try x.dtype.dispatchInteger(Visitor(x: x, y: y, threads: threads))
}

struct Logical: Operator {
    let function: LogicalFunction

    var outputStorage: OutputStorage { .mayReplace(inputs: [0, 1]) }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        [Fact(dtype: try commonType(inputs, 0..<2), shape: try commonShape(inputs, 0..<2))]
    }

    func run(_ context: inout RunContext) throws {
        try logical(function, context.input(0), context.input(1), into: context.output(0), threads: context.threads)
    }

    static func definitions(_ function: LogicalFunction) -> [OperatorDefinition] {
        [(function.rawValue, 7), ("Bitwise" + function.rawValue, 18)].map { type, version in
            OperatorDefinition(type, since: version) { decoder in
                try decoder.requireInputs(2...2)
                return Logical(function: function)
            }
        }
    }
}

/// Not-1 and BitwiseNot-18.
struct Complement: Operator {
    var outputStorage: OutputStorage { .mayReplace(inputs: [0]) }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        [Fact(dtype: try inputs[0].dtype, shape: try inputs[0].shape)]
    }

    func run(_ context: inout RunContext) throws {
        try complement(context.input(0), into: context.output(0), threads: context.threads)
    }

    static let definitions = [("Not", 1), ("BitwiseNot", 18)].map { type, version in
        OperatorDefinition(type, since: version) { decoder in
            try decoder.requireInputs(1...1)
            return Complement()
        }
    }
}
