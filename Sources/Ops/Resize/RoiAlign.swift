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

    /// A pixel's index along an axis and what it counts for.
    private struct Tap {
        var pixel: Int
        var weight: Double
    }

    /// For each row or column of bins, for each sample along it, the two pixels that it lies between; none outside of the picture.
    private typealias Axis = [[[Tap]]]

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

    private static func axis(start: Double, bin: Double, bins: Int, samples: Int, extent: Int) -> Axis {
        (0..<bins).map { index in
            (0..<samples).map { sample in
                let place = start + (Double(index) + (Double(sample) + 0.5) / Double(samples)) * bin
                guard place >= -1, place <= Double(extent), extent > 0 else { return [] }
                let inside = max(place, 0)
                let low = Int(inside)
                // At the edge as between others, since the largest of the parts may be the one that counts for nothing.
                guard low < extent - 1 else {
                    return [Tap(pixel: extent - 1, weight: 1), Tap(pixel: extent - 1, weight: 0)]
                }
                let ratio = inside - Double(low)
                return [Tap(pixel: low, weight: 1 - ratio), Tap(pixel: low + 1, weight: ratio)]
            }
        }
    }

    private func align<Element: TensorElement & BinaryFloatingPoint>(
        _ data: Tensor, _ items: [Int], _ regions: [Region], _ type: Element.Type, _ output: MutableTensor,
        _ threads: ThreadPool
    ) throws {
        let source = try data.view(of: type)
        let (channels, rows, columns) = (data.shape[1], data.shape[2], data.shape[3])
        let unit = channels * height * width
        try output.forEachSlice(of: type, unit: unit, grain: 1, threads: threads) { indices, target in
            var taps: [Tap] = []
            for (slice, index) in indices.enumerated() {
                let region = regions[index]
                let vertical = Self.axis(
                    start: region.start.y, bin: region.bin.y, bins: height, samples: region.samples.y, extent: rows)
                let horizontal = Self.axis(
                    start: region.start.x, bin: region.bin.x, bins: width, samples: region.samples.x, extent: columns)
                let plane = items[index] * channels * rows * columns
                // Whatever the channel, and for all bins of a row or a column.
                let (across, along) = isMaximum ? ([], []) : (vertical.map(Self.summed), horizontal.map(Self.summed))
                for bin in 0..<height * width {
                    let (row, column) = bin.quotientAndRemainder(dividingBy: width)
                    let place = slice * unit + bin
                    if isMaximum {
                        for channel in 0..<channels {
                            let first = plane + channel * rows * columns
                            target[place + channel * height * width] = Element(
                                Self.largest(vertical[row], horizontal[column]) { Double(source[first + $0 * columns + $1]) })
                        }
                    } else {
                        Self.multiply(across[row], along[column], columns: columns, into: &taps)
                        let count = Double(max(vertical[row].count * horizontal[column].count, 1))
                        for channel in 0..<channels {
                            let first = plane + channel * rows * columns
                            var sum = 0.0
                            for tap in taps { sum += tap.weight * Double(source[first + tap.pixel]) }
                            target[place + channel * height * width] = Element(sum / count)
                        }
                    }
                }
            }
        }
    }

    /// The largest part that a pixel has in a sample; a sample outside of the picture is 0.
    private static func largest(_ across: [[Tap]], _ along: [[Tap]], _ value: (_ row: Int, _ column: Int) -> Double) -> Double {
        var result: Double?
        for rows in across {
            for columns in along {
                if rows.isEmpty || columns.isEmpty { result = max(result ?? 0, 0) }
                for row in rows {
                    for column in columns {
                        let part = row.weight * column.weight * value(row.pixel, column.pixel)
                        result = max(result ?? part, part)
                    }
                }
            }
        }
        return result ?? 0
    }

    /// The pixels of all samples of a bin, once each, by their places in a plane: a sample's weights are products of those along the axes,
    /// and so are their sums.
    private static func multiply(_ across: [Tap], _ along: [Tap], columns: Int, into taps: inout [Tap]) {
        taps.removeAll(keepingCapacity: true)
        for row in across {
            for column in along {
                taps.append(Tap(pixel: row.pixel * columns + column.pixel, weight: row.weight * column.weight))
            }
        }
    }

    /// The pixels of all samples along an axis, once each, with the sums of their weights.
    private static func summed(_ samples: [[Tap]]) -> [Tap] {
        var result: [Tap] = []
        for tap in samples.joined() {
            // Neighbouring samples lie between the same pixels or the next.
            if let index = result.indices.suffix(2).last(where: { result[$0].pixel == tap.pixel }) {
                result[index].weight += tap.weight
            } else {
                result.append(tap)
            }
        }
        return result
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
