import GraphRuntime

/// ONNX Col2Im (18): adds columns of patches up to an image, the transpose of taking the patches out.
struct Col2Im: Operator {
    var dilations: [Int]?
    var pads: [Int]?
    var strides: [Int]?

    var floatingPointTypes: Set<DType>? { [.float32, .float64] }

    private struct Geometry {
        var image: [Int]
        var block: [Int]
        var dilations: [Int]
        var begins: [Int]
        var strides: [Int]
        /// Patches along each axis.
        var patches: [Int]
        var output: Shape
    }

    private func geometry(_ shape: Shape, image: [Int], block: [Int]) throws -> Geometry {
        let rank = image.count
        let (dilations, strides) = (dilations ?? Array(repeating: 1, count: rank), strides ?? Array(repeating: 1, count: rank))
        let pads = pads ?? Array(repeating: 0, count: 2 * rank)
        let limit = 1 << 31
        guard shape.rank == 3, rank > 0, block.count == rank, dilations.count == rank, strides.count == rank,
            pads.count == 2 * rank, (dilations + strides + block + image).allSatisfy({ $0 > 0 && $0 < limit }),
            pads.allSatisfy({ $0 >= 0 && $0 < limit })
        else {
            throw TensorError("columns of \(shape) don't fit an image of \(image) with blocks of \(block)")
        }
        let size = try Shape(block).count
        let patches = (0..<rank).map { axis -> Int in
            let room = image[axis] + pads[axis] + pads[axis + rank] - dilations[axis] * (block[axis] - 1) - 1
            return room < 0 ? 0 : room / strides[axis] + 1
        }
        guard shape[1] % size == 0, try Shape(patches).count == shape[2] else {
            throw TensorError("columns of \(shape) don't fit \(patches) patches of \(block)")
        }
        return Geometry(
            image: image, block: block, dilations: dilations, begins: Array(pads[..<rank]), strides: strides, patches: patches,
            output: try Shape([shape[0], shape[1] / size] + image))
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let data = try inputs[0]
        guard let shape = data.shape, let image = try inputs.integers(1), let block = try inputs.integers(2) else {
            return [Fact(dtype: data.dtype)]
        }
        return [Fact(dtype: data.dtype, shape: try geometry(shape, image: image, block: block).output)]
    }

    func run(_ context: inout RunContext) throws {
        let data = try context.input(0)
        let geometry = try geometry(data.shape, image: context.integers(1), block: context.integers(2))
        let output = try context.output(0)
        switch data.dtype {
        case .float32:
            let fold = WindowFold(
                input: geometry.patches, output: geometry.image, kernel: geometry.block, strides: geometry.strides,
                dilations: geometry.dilations, padsBegin: geometry.begins)
            try foldColumns(data, fold, into: output, threads: context.threads)
        case .float64: try Self.add(data, geometry, into: output, Double.self) { $0 + $1 }
        case .int32: try Self.add(data, geometry, into: output, Int32.self) { $0 &+ $1 }
        case .int64: try Self.add(data, geometry, into: output, Int64.self) { $0 &+ $1 }
        case .uint8: try Self.add(data, geometry, into: output, UInt8.self) { $0 &+ $1 }
        case .int8: try Self.add(data, geometry, into: output, Int8.self) { $0 &+ $1 }
        default: throw TensorError("Col2Im of \(data.dtype) isn't supported")
        }
    }

    private static func add<Element: TensorElement & Numeric>(
        _ data: Tensor, _ geometry: Geometry, into output: MutableTensor, _ type: Element.Type,
        _ sum: (Element, Element) -> Element
    ) throws {
        let source = try data.view(of: type)
        try output.fill(with: 0 as Element)
        let axes = geometry.image.indices
        let imageStrides = try Shape(geometry.image).strides
        let (size, count) = (try Shape(geometry.block).count, data.shape[2])
        let planes = data.shape[0] * data.shape[1]
        let pixels = try Shape(geometry.image).count
        try output.withMutableSpan(of: type) { target in
            for row in 0..<planes {
                for patch in 0..<count {
                    var (rest, tap, offset, isInside) = (patch, row % size, 0, true)
                    for axis in axes.reversed() {
                        let place =
                            rest % geometry.patches[axis] * geometry.strides[axis]
                            + tap % geometry.block[axis] * geometry.dilations[axis] - geometry.begins[axis]
                        rest /= geometry.patches[axis]
                        tap /= geometry.block[axis]
                        isInside = isInside && place >= 0 && place < geometry.image[axis]
                        offset += place * imageStrides[axis]
                    }
                    guard isInside else { continue }
                    let place = row / size * pixels + offset
                    target[place] = sum(target[place], source[row * count + patch])
                }
            }
        }
    }
}

extension Col2Im {
    static let definitions = OperatorDefinition.all("Col2Im", since: [18]) { decoder in
        try decoder.requireInputs(3...3)
        return Col2Im(
            dilations: try decoder.optionalInts("dilations"), pads: try decoder.optionalInts("pads"),
            strides: try decoder.optionalInts("strides"))
    }
}
