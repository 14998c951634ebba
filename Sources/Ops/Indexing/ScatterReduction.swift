import GraphRuntime

/// What becomes of an element that a scatter writes to.
enum ScatterReduction: String {
    case none, add, mul, max, min

    init(_ decoder: inout NodeDecoder) throws {
        let name = try decoder.string("reduction", default: "none")
        guard let reduction = ScatterReduction(rawValue: name) else {
            throw TensorError("the reduction \"\(name)\" isn't supported")
        }
        self = reduction
    }

    /// Types that are combined as they are; nil where nothing is.
    var floatingPointTypes: Set<DType>? { self == .none ? nil : [.float32, .float64] }
}

extension RunContext {
    /// Fills output 0 with `data`, with whose slices those of `updates` are combined, in their order.
    ///
    /// - Parameters:
    ///   - offsets: for each slice of `updates` the slice of `data` that it goes to.
    ///   - inner: the elements of a slice.
    ///   - reduction: how.
    mutating func combine(
        _ updates: Tensor, with data: Tensor, offsets: [Int], inner: Int, reduction: ScatterReduction
    ) throws {
        guard updates.dtype == data.dtype else { throw TensorError("can't combine \(updates.dtype) with \(data.dtype)") }
        let output = try output(0)
        try output.copy(from: data)
        struct Visitor: NumericVisitor {
            let updates: Tensor
            let output: MutableTensor
            let offsets: [Int]
            let inner: Int
            let reduction: ScatterReduction

            func visit<Element: NumericElement>(_: Element.Type) throws {
                switch reduction {
                case .none: break
                case .add: try combine(Added<Element>.self)
                case .mul: try combine(Multiplied<Element>.self)
                case .max: try combine(Larger<Element>.self)
                case .min: try combine(Smaller<Element>.self)
                }
            }

            private func combine<Kernel: BinaryKernel>(_ kernel: Kernel.Type) throws
            where Kernel.Left == Kernel.Output, Kernel.Right == Kernel.Output {
                try combineSlices(kernel, updates, into: output, offsets: offsets, inner: inner)
            }
        }
        if data.dtype == .float32, reduction == .add {
            return try combineSlices(FloatSum.self, updates, into: output, offsets: offsets, inner: inner)
        }
        let visitor = Visitor(updates: updates, output: output, offsets: offsets, inner: inner, reduction: reduction)
        try data.dtype.dispatch(visitor)
    }
}

private enum Added<Element: NumericElement>: BinaryKernel {
    @inline(__always) static func apply(_ a: Element, _ b: Element) -> Element { .sum(a, b) }
}

private enum Multiplied<Element: NumericElement>: BinaryKernel {
    @inline(__always) static func apply(_ a: Element, _ b: Element) -> Element { .product(a, b) }
}

/// As ONNX Runtime has it of NaN: the number that is there is kept where it doesn't compare.
private enum Larger<Element: NumericElement>: BinaryKernel {
    @inline(__always) static func apply(_ a: Element, _ b: Element) -> Element { a < b ? b : a }
}

private enum Smaller<Element: NumericElement>: BinaryKernel {
    @inline(__always) static func apply(_ a: Element, _ b: Element) -> Element { a > b ? b : a }
}
