import GraphRuntime

/// CropAndResize (com.microsoft, 1): regions of pictures, resized to one size.
///
/// Inputs: X [N, C, H, W]; regions [count, 4] of y₁, x₁, y₂, x₂, of which 0 and 1 are the first and the last pixel's centres; the
/// picture of each region [count]; the size [2], height first. Output: [count, C, height, width].
struct CropAndResize: Operator {
    let isNearest: Bool
    /// The value outside of the picture.
    let outside: Float

    var floatingPointTypes: Set<DType>? { [.float32] }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let x = try inputs[0]
        guard let shape = x.shape, let regions = try inputs[1].shape, let size = try inputs.integers(3) else {
            return [Fact(dtype: x.dtype)]
        }
        guard shape.rank == 4, regions.rank == 2, regions[1] == 4, size.count == 2, size.allSatisfy({ $0 > 0 }) else {
            throw TensorError(
                "expected pictures of 4 axes, regions [count, 4] and a size of two numbers, found \(shape), \(regions) and \(size)"
            )
        }
        if let pictures = try inputs[2].shape, pictures.dimensions != [regions[0]] {
            throw TensorError("batch_indices should have the shape [\(regions[0])], found \(pictures)")
        }
        return [Fact(dtype: x.dtype, shape: try Shape([regions[0], shape[1]] + size))]
    }

    /// Where a line or column of the output lies in the picture: two places and the share of the second; nil outside.
    private struct Place {
        let first: Int
        let second: Int
        let share: Float

        init?(_ index: Int, of count: Int, from start: Float, to end: Float, extent: Int, isNearest: Bool) {
            let last = Float(extent - 1)
            let step = count > 1 ? (end - start) * last / Float(count - 1) : 0
            let place = count > 1 ? start * last + Float(index) * step : 0.5 * (start + end) * last
            guard place >= 0, place <= last else { return nil }
            if isNearest {
                let nearest = min(Int(place.rounded()), extent - 1)
                (first, second, share) = (nearest, nearest, 0)
            } else {
                first = Int(place)
                second = min(first + 1, extent - 1)
                share = place - Float(first)
            }
        }
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        let source = try x.view(of: Float.self)
        let regions = try context.input(1).array(of: Float.self)
        let pictures = try context.input(2).integers()
        guard let wrong = pictures.first(where: { !(0..<x.shape[0]).contains($0) }) else {
            return try crop(source, x.shape, regions, pictures, into: context.output(0), context.threads)
        }
        throw TensorError("batch_indices should be in 0..<\(x.shape[0]), found \(wrong)")
    }

    private func crop(
        _ source: TensorView<Float>, _ shape: Shape, _ regions: [Float], _ pictures: [Int], into output: MutableTensor,
        _ threads: ThreadPool
    ) throws {
        let (channels, height, width) = (shape[1], shape[2], shape[3])
        let (rows, columns) = (output.shape[2], output.shape[3])
        let (isNearest, outside) = (isNearest, outside)
        guard output.count > 0 else { return }
        try output.forEachSlice(of: Float.self, unit: rows * columns, grain: max(4096 / (rows * columns), 1), threads: threads)
        {
            planes, target in
            for (index, plane) in planes.enumerated() {
                let region = plane / channels
                let start = (pictures[region] * channels + plane % channels) * height * width
                let ends = regions[4 * region..<4 * region + 4].map { $0 }
                let across = (0..<columns).map {
                    Place($0, of: columns, from: ends[1], to: ends[3], extent: width, isNearest: isNearest)
                }
                for row in 0..<rows {
                    let down = Place(row, of: rows, from: ends[0], to: ends[2], extent: height, isNearest: isNearest)
                    for column in 0..<columns {
                        let place = (index * rows + row) * columns + column
                        guard let down, let over = across[column] else {
                            target[place] = outside
                            continue
                        }
                        func line(_ y: Int) -> Float {
                            let (left, right) = (
                                source[start + y * width + over.first], source[start + y * width + over.second]
                            )
                            return left + (right - left) * over.share
                        }
                        let top = line(down.first)
                        target[place] = top + (line(down.second) - top) * down.share
                    }
                }
            }
        }
    }

    static let definition = OperatorDefinition("CropAndResize", domain: ContributedFamily.domain, since: 1) { decoder in
        try decoder.requireInputs(4...4)
        let mode = try decoder.string("mode", default: "bilinear")
        guard ["bilinear", "nearest"].contains(mode) else {
            throw TensorError("attribute mode should be bilinear or nearest, found \"\(mode)\"")
        }
        return CropAndResize(
            isNearest: mode == "nearest", outside: try decoder.float("extrapolation_value", default: 0))
    }
}
