import GraphRuntime

/// ONNX RoiAlign (10 to 22): regions of pictures, each brought to one size (He et al., "Mask R-CNN", 2017, section 3).
struct RoiAlign: Operator {
    /// Whether a bin's samples give their largest part rather than their mean.
    var isMaximum: Bool
    var height: Int
    var width: Int
    /// Samples along each side of a bin; 0 for as many as it has pixels.
    var samplingRatio: Int
    /// From the regions' coordinates to the picture's.
    var scale: Double
    /// Whether pixel centers lie at halves.
    var isHalfPixel: Bool

    var floatingPointTypes: Set<DType>? { [.float32, .float64] }

    private func output(_ shape: Shape, _ rois: Shape) throws -> Shape {
        guard shape.rank == 4, rois.rank == 2, rois[1] == 4 else {
            throw TensorError("regions of shape \(rois) don't fit \(shape)")
        }
        return try Shape([rois[0], shape[1], height, width])
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let data = try inputs[0]
        guard let shape = data.shape, let rois = try inputs[1].shape else { return [Fact(dtype: data.dtype)] }
        return [Fact(dtype: data.dtype, shape: try output(shape, rois))]
    }

    func run(_ context: inout RunContext) throws {
        let (data, rois) = (try context.input(0), try context.input(1))
        let shape = try output(data.shape, rois.shape)
        let items = try context.integers(2).map { try checkedIndex($0, extent: data.shape[0]) }
        guard items.count == rois.shape[0] else { throw TensorError("\(items.count) batch indices don't fit \(rois.shape)") }
        guard shape.count > 0 else { return }
        if data.dtype == .float64 {
            let regions = try regions(rois.array(of: Double.self))
            try align(data, items, regions, Double.self, context.output(0), context.threads)
        } else {
            let regions = try regions(rois.array(of: Float.self).map { Double($0) })
            try align(data, items, regions, Float.self, context.output(0), context.threads)
        }
    }

    private struct Region {
        var start: (y: Double, x: Double)
        var bin: (y: Double, x: Double)
        var samples: (y: Int, x: Int)
    }

    private func regions(_ values: [Double]) throws -> [Region] {
        let offset = isHalfPixel ? 0.5 : 0
        return try stride(from: 0, to: values.count, by: 4).map { index in
            let v = values[index..<index + 4].map { $0 * scale - offset }
            var (rows, columns) = (v[3] - v[1], v[2] - v[0])
            if !isHalfPixel { (rows, columns) = (max(rows, 1), max(columns, 1)) }
            let bin = (rows / Double(height), columns / Double(width))
            func samples(_ size: Double) throws -> Int {
                guard samplingRatio == 0 else { return samplingRatio }
                guard size < 0x1p16 else { throw TensorError("a region of \(rows) × \(columns) pixels is too large") }
                return max(Int(size.rounded(.up)), 0)
            }
            return Region(start: (v[1], v[0]), bin: bin, samples: (try samples(bin.0), try samples(bin.1)))
        }
    }

    /// Four neighbours and their weights; none outside of the picture.
    private static func taps(_ y: Double, _ x: Double, _ rows: Int, _ columns: Int) -> [(offset: Int, weight: Double)] {
        guard y >= -1, y <= Double(rows), x >= -1, x <= Double(columns), rows > 0, columns > 0 else { return [] }
        func pair(_ place: Double, _ extent: Int) -> (low: Int, high: Int, ratio: Double) {
            let place = max(place, 0)
            let low = Int(place)
            return low >= extent - 1 ? (extent - 1, extent - 1, 0) : (low, low + 1, place - Double(low))
        }
        let (v, h) = (pair(y, rows), pair(x, columns))
        return [
            (v.low * columns + h.low, (1 - v.ratio) * (1 - h.ratio)), (v.low * columns + h.high, (1 - v.ratio) * h.ratio),
            (v.high * columns + h.low, v.ratio * (1 - h.ratio)), (v.high * columns + h.high, v.ratio * h.ratio),
        ]
    }

    private func align<Element: TensorElement & BinaryFloatingPoint>(
        _ data: Tensor, _ items: [Int], _ regions: [Region], _ type: Element.Type, _ output: MutableTensor,
        _ threads: ThreadPool
    ) throws {
        let source = try data.view(of: type)
        let (channels, rows, columns) = (data.shape[1], data.shape[2], data.shape[3])
        let unit = channels * height * width
        try output.forEachSlice(of: type, unit: unit, grain: 1, threads: threads) { indices, target in
            for (slice, index) in indices.enumerated() {
                for bin in 0..<height * width {
                    let samples = samples(of: regions[index], bin: (bin / width, bin % width), rows, columns)
                    for channel in 0..<channels {
                        let plane = (items[index] * channels + channel) * rows * columns
                        let values = samples.map { taps in taps.map { $0.weight * Double(source[plane + $0.offset]) } }
                        let place = slice * unit + channel * height * width + bin
                        if isMaximum {
                            target[place] = Element(values.map { $0.max() ?? 0 }.max() ?? 0)
                        } else {
                            let sum = values.reduce(0) { $0 + $1.reduce(0, +) }
                            target[place] = Element(sum / Double(max(samples.count, 1)))
                        }
                    }
                }
            }
        }
    }

    /// The neighbours of each sample of a bin, with their weights.
    private func samples(
        of region: Region, bin: (row: Int, column: Int), _ rows: Int, _ columns: Int
    ) -> [[(offset: Int, weight: Double)]] {
        var samples: [[(offset: Int, weight: Double)]] = []
        for row in 0..<region.samples.y {
            let y = region.start.y + (Double(bin.row) + (Double(row) + 0.5) / Double(region.samples.y)) * region.bin.y
            for column in 0..<region.samples.x {
                let x =
                    region.start.x + (Double(bin.column) + (Double(column) + 0.5) / Double(region.samples.x)) * region.bin.x
                samples.append(Self.taps(y, x, rows, columns))
            }
        }
        return samples
    }
}

extension RoiAlign {
    static let definitions = OperatorDefinition.all("RoiAlign", since: [10, 16, 22]) { decoder in
        try decoder.requireInputs(3...3)
        let mode = try decoder.string("mode", default: "avg")
        let coordinates =
            decoder.version < 16
            ? "output_half_pixel" : try decoder.string("coordinate_transformation_mode", default: "half_pixel")
        let (height, width) = (try decoder.int("output_height", default: 1), try decoder.int("output_width", default: 1))
        let ratio = try decoder.int("sampling_ratio", default: 0)
        guard mode == "avg" || mode == "max", coordinates == "half_pixel" || coordinates == "output_half_pixel" else {
            throw TensorError("the mode \"\(mode)\" with \"\(coordinates)\" isn't supported")
        }
        guard height > 0, width > 0, (0...1 << 12).contains(ratio) else {
            throw TensorError("an output of \(height) × \(width) with sampling_ratio \(ratio) isn't supported")
        }
        return RoiAlign(
            isMaximum: mode == "max", height: height, width: width, samplingRatio: ratio,
            scale: Double(try decoder.float("spatial_scale", default: 1)), isHalfPixel: coordinates == "half_pixel")
    }
}
