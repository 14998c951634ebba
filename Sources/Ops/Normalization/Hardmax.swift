import GraphRuntime

/// 1 at the first largest element along the middle axis of [outer, count, inner], 0 at all others; y may be x.
///
/// - Throws: ``TensorError`` for other types than float32 and float64, and where the extents aren't those of the tensors.
private func hardmax(
    _ x: Tensor, outer: Int, count: Int, inner: Int, into y: MutableTensor, threads: ThreadPool
) throws {
    guard x.count > 0 else { return }
    let places = try MutableTensor(dtype: .int64, shape: Shape([outer, inner]))
    try argExtreme(
        x.reshaped(to: Shape([outer, count, inner])), axis: 1, largest: true, selectsLast: false, into: places, threads: threads
    )
    struct Visitor: FloatVisitor {
        let places: TensorView<Int64>
        let count: Int
        let inner: Int
        let y: MutableTensor

        func visit<Element: NumericElement & BinaryFloatingPoint>(_ type: Element.Type) throws {
            try y.fill(with: Element.zero)
            try y.withMutableSpan(of: type) { target in
                for line in places.indices {
                    target[(line / inner * count + Int(places[line])) * inner + line % inner] = 1
                }
            }
        }
    }
    try x.dtype.dispatchFloat(Visitor(places: places.finish().view(of: Int64.self), count: count, inner: inner, y: y))
}

/// Hardmax (1, 11, 13).
struct Hardmax: Operator {
    let axis: SoftmaxAxis

    var outputStorage: OutputStorage { .mayReplace(inputs: [0]) }
    var floatingPointTypes: Set<DType>? { [.float32, .float64] }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { try axis.infer(inputs) }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        let (outer, count, inner) = try axis.extents(x.shape)
        try hardmax(
            x, outer: outer, count: count, inner: inner, into: context.output(0), threads: context.threads)
    }
}

extension Hardmax {
    static let definitions = [1, 11, 13].map { version in
        OperatorDefinition("Hardmax", since: version) { decoder in
            try decoder.requireInputs(1...1)
            return Hardmax(axis: try SoftmaxAxis(&decoder))
        }
    }
}
