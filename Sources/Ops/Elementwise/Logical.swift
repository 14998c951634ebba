import GraphRuntime

/// ONNX And-7, Or-7, Xor-7 on truth values and BitwiseAnd-18, BitwiseOr-18, BitwiseXor-18 on integers.
enum LogicalFunction: String, Sendable {
    case and = "And"
    case or = "Or"
    case xor = "Xor"
}

private enum BoolAnd: BinaryKernel {
    @inline(__always) static func apply(_ a: TruthByte, _ b: TruthByte) -> TruthByte { TruthByte(byte: a.byte & b.byte) }
}

private enum BoolOr: BinaryKernel {
    @inline(__always) static func apply(_ a: TruthByte, _ b: TruthByte) -> TruthByte { TruthByte(byte: a.byte | b.byte) }
}

private enum BoolXor: BinaryKernel {
    @inline(__always) static func apply(_ a: TruthByte, _ b: TruthByte) -> TruthByte { TruthByte(byte: a.byte ^ b.byte) }
}

private enum BoolNot: UnaryKernel {
    @inline(__always) static func apply(_ x: TruthByte) -> TruthByte { TruthByte(byte: x.byte ^ 1) }
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
func preparedLogical(_ function: LogicalFunction, _ a: Tensor, _ b: Tensor, into y: MutableTensor) throws -> PreparedRun {
    if a.dtype == .bool {
        switch function {
        case .and: return try preparedBroadcast(BoolAnd.self, a, b, into: y)
        case .or: return try preparedBroadcast(BoolOr.self, a, b, into: y)
        case .xor: return try preparedBroadcast(BoolXor.self, a, b, into: y)
        }
    }
    struct Visitor: IntegerVisitor {
        let function: LogicalFunction
        let a: Tensor
        let b: Tensor
        let y: MutableTensor

        func visit<Element: NumericElement & FixedWidthInteger>(_: Element.Type) throws -> PreparedRun {
            switch function {
            case .and: try preparedBroadcast(BitsAnd<Element>.self, a, b, into: y)
            case .or: try preparedBroadcast(BitsOr<Element>.self, a, b, into: y)
            case .xor: try preparedBroadcast(BitsXor<Element>.self, a, b, into: y)
            }
        }
    }
    return try a.dtype.dispatchInteger(Visitor(function: function, a: a, b: b, y: y))
}

/// y = the complement of x: of truth values, or bit by bit.
func preparedComplement(_ x: Tensor, into y: MutableTensor) throws -> PreparedRun {
    if x.dtype == .bool { return try preparedMap(BoolNot.self, x, into: y) }
    struct Visitor: IntegerVisitor {
        let x: Tensor
        let y: MutableTensor

        func visit<Element: NumericElement & FixedWidthInteger>(_: Element.Type) throws -> PreparedRun {
            try preparedMap(BitsNot<Element>.self, x, into: y)
        }
    }
    return try x.dtype.dispatchInteger(Visitor(x: x, y: y))
}

struct Logical: PreparedOperator {
    let function: LogicalFunction

    var outputStorage: OutputStorage { .mayReplace(inputs: [0, 1]) }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        [Fact(dtype: try commonType(inputs, 0..<2), shape: try commonShape(inputs, 0..<2))]
    }

    func prepare(_ operands: Operands) throws -> PreparedRun {
        try preparedLogical(function, operands.input(0), operands.input(1), into: operands.output(0))
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
struct Complement: PreparedOperator {
    var outputStorage: OutputStorage { .mayReplace(inputs: [0]) }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        [Fact(dtype: try inputs[0].dtype, shape: try inputs[0].shape)]
    }

    func prepare(_ operands: Operands) throws -> PreparedRun {
        try preparedComplement(operands.input(0), into: operands.output(0))
    }

    static let definitions = [("Not", 1), ("BitwiseNot", 18)].map { type, version in
        OperatorDefinition(type, since: version) { decoder in
            try decoder.requireInputs(1...1)
            return Complement()
        }
    }
}
