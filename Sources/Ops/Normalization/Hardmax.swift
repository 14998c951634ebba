import GraphRuntime

/// 1 at the first largest element along the middle axis of [outer, count, inner], 0 at all others.
package func hardmax<Element: TensorElement & BinaryFloatingPoint>(
    _ x: Tensor, outer: Int, count: Int, inner: Int, into y: MutableTensor, _ type: Element.Type
) throws {
    let source = try x.view(of: type)
    guard x.count == outer * count * inner, y.count == x.count else {
        throw TensorError("\(x.shape) and \(y.shape) don't have the extents \(outer), \(count) and \(inner)")
    }
    guard x.count > 0 else { return }
    try y.withMutableSpan(of: type) { target in
        for block in 0..<outer {
            for column in 0..<inner {
                let places = stride(from: block * count * inner + column, to: (block + 1) * count * inner, by: inner)
                var largest = block * count * inner + column
                for place in places where source[place] > source[largest] { largest = place }
                for place in places { target[place] = place == largest ? 1 : 0 }
            }
        }
    }
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
        let y = try context.output(0)
        switch x.dtype {
        case .float64: try hardmax(x, outer: outer, count: count, inner: inner, into: y, Double.self)
        default: try hardmax(x, outer: outer, count: count, inner: inner, into: y, Float.self)
        }
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
