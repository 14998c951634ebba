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
        let scattered = Scattered(updates: updates, output: output, offsets: offsets, inner: inner)
        switch data.dtype {
        case .float32: try scattered.combineFloats(Float.self, reduction)
        case .float64: try scattered.combineFloats(Double.self, reduction)
        case .int8: try scattered.combineIntegers(Int8.self, reduction)
        case .int16: try scattered.combineIntegers(Int16.self, reduction)
        case .int32: try scattered.combineIntegers(Int32.self, reduction)
        case .int64: try scattered.combineIntegers(Int64.self, reduction)
        case .uint8: try scattered.combineIntegers(UInt8.self, reduction)
        case .uint16: try scattered.combineIntegers(UInt16.self, reduction)
        case .uint32: try scattered.combineIntegers(UInt32.self, reduction)
        case .uint64: try scattered.combineIntegers(UInt64.self, reduction)
        default: throw TensorError("elements of type \(data.dtype) can't be combined by \(reduction.rawValue)")
        }
    }
}

private struct Scattered {
    let updates: Tensor
    let output: MutableTensor
    let offsets: [Int]
    let inner: Int

    func combineFloats<Element: TensorElement & BinaryFloatingPoint>(
        _ type: Element.Type, _ reduction: ScatterReduction
    ) throws {
        switch reduction {
        case .none: break
        case .add: try combine(type) { $0 + $1 }
        case .mul: try combine(type) { $0 * $1 }
        case .max: try combine(type) { Swift.max($0, $1) }
        case .min: try combine(type) { Swift.min($0, $1) }
        }
    }

    func combineIntegers<Element: TensorElement & FixedWidthInteger>(
        _ type: Element.Type, _ reduction: ScatterReduction
    ) throws {
        switch reduction {
        case .none: break
        case .add: try combine(type) { $0 &+ $1 }
        case .mul: try combine(type) { $0 &* $1 }
        case .max: try combine(type) { Swift.max($0, $1) }
        case .min: try combine(type) { Swift.min($0, $1) }
        }
    }

    @inline(__always)
    private func combine<Element: TensorElement>(_ type: Element.Type, _ operation: (Element, Element) -> Element) throws {
        let source = try updates.view(of: type)
        try output.withMutableSpan(of: type) { target in
            if inner == 1 {
                for index in offsets.indices { target[offsets[index]] = operation(target[offsets[index]], source[index]) }
                return
            }
            for (index, offset) in offsets.enumerated() {
                for position in 0..<inner {
                    target[offset * inner + position] = operation(
                        target[offset * inner + position], source[index * inner + position])
                }
            }
        }
    }
}
