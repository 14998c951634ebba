import Foundation
import ONNXLoader

/// How pictures become what a CLIP vision encoder takes: the arithmetic of transformers' `CLIPImageProcessor`, in its order and precision.
struct CLIPPreprocessing: Sendable {
    /// The size that a picture is scaled to.
    enum Size {
        /// Its shorter side; the other one is rounded down.
        case shortestEdge(Int)
        case exact(PixelSize)
        /// As small as it covers this size; sides are rounded to the nearest whole number.
        case covering(PixelSize)
        /// As large as it fits into this size; likewise.
        case fitting(PixelSize)
    }

    /// Where the middle of a picture is, if what is cut off or added isn't the same on both sides.
    enum Centre {
        /// transformers: half of the difference, rounded down.
        case roundedDown
        /// torchvision: rounded to the nearest whole number, halves to the even one; of what is added, the smaller half comes first.
        case nearest
    }

    var size: Size?
    var filter = Resampling.Filter.bicubic
    var crop: PixelSize?
    var centre = Centre.roundedDown
    /// The gray of what a crop adds.
    var filling: UInt8 = 0
    var rescaleFactor: Double? = 1 / 255
    /// By colour; nil where colours aren't normalised.
    var normalization: (mean: [Double], deviation: [Double])?

    /// Colours of OpenAI's CLIP.
    static let mean = [0.48145466, 0.4578275, 0.40821073]
    static let deviation = [0.26862954, 0.26130258, 0.27577711]

    /// Pictures whose values are bytes over 255, of any size.
    init() {}

    /// - Parameter file: `preprocessor_config.json`. What it doesn't state is as in transformers.
    /// - Throws: ``PipelineError`` for what it can't say.
    init(_ file: ConfigurationFile) throws {
        let extents = 1...4096
        func isOn(_ key: String) throws -> Bool { try file.optionalFlag(key) ?? true }
        func box(_ sizes: [String: Int]) -> PixelSize? {
            guard let width = sizes["width"], let height = sizes["height"] else { return nil }
            return PixelSize(width: width, height: height)
        }
        let sizes = try file.optionalInts("size", in: extents, numberStandsFor: ["shortest_edge"]) ?? ["shortest_edge": 224]
        if try !isOn("do_resize") {
            size = nil
        } else if let edge = sizes["shortest_edge"] {
            size = .shortestEdge(edge)
        } else if let exact = box(sizes) {
            size = .exact(exact)
        } else {
            throw PipelineError(
                "\(file.url.path): size has \(sizes.keys.sorted()), expected shortest_edge, or height and width.",
                kind: .malformedFile)
        }
        let number = try file.optionalInt("resample", in: 0...5) ?? Resampling.Filter.bicubic.rawValue
        guard let filter = Resampling.Filter(rawValue: number) else {
            throw PipelineError(
                "\(file.url.path): resample is \(number), the nearest pixel, expected a filter: 1 to 5.", kind: .malformedFile)
        }
        self.filter = filter
        let crops = try file.optionalInts("crop_size", in: extents, numberStandsFor: ["height", "width"])
        guard let crop = box(crops ?? ["height": 224, "width": 224]) else {
            throw PipelineError(
                "\(file.url.path): crop_size has \((crops ?? [:]).keys.sorted()), expected height and width.",
                kind: .malformedFile)
        }
        self.crop = try isOn("do_center_crop") ? crop : nil
        rescaleFactor = try isOn("do_rescale") ? file.optionalDouble("rescale_factor") ?? 1 / 255 : nil
        let mean = try file.optionalDoubles("image_mean", count: 3) ?? Self.mean
        let deviation = try file.optionalDoubles("image_std", count: 3) ?? Self.deviation
        normalization = try isOn("do_normalize") ? (mean, deviation) : nil
        guard deviation.allSatisfy({ Float($0).isNormal }) else {
            throw PipelineError(
                "\(file.url.path): image_std is \(deviation), expected numbers other than 0.", kind: .malformedFile)
        }
    }

    /// A picture's values, [3, height, width], and their shape.
    func values(of image: RGBImage) throws -> (values: [Float], shape: [Int]) {
        var raster = image.raster
        if let size = scaledSize(of: image, size) {
            raster = try Resampling.resized(raster, width: size.width, height: size.height, filter: filter)
        }
        if let crop {
            let left = offset(raster.width, crop.width)
            let top = offset(raster.height, crop.height)
            raster = try raster.cropped(left: left, top: top, width: crop.width, height: crop.height, filling: filling)
        }
        let area = raster.width * raster.height
        try LargeArray.ask(bytes: 12 * area)
        var values = [Float](repeating: 0, count: 3 * area)
        for channel in 0..<3 {
            for position in 0..<area {
                let byte = raster.values[3 * position + channel]
                var value = rescaleFactor.map { Float(Double(byte) * $0) } ?? Float(byte)
                if let normalization {
                    value = (value - Float(normalization.mean[channel])) / Float(normalization.deviation[channel])
                }
                values[channel * area + position] = value
            }
        }
        return (values, [3, raster.height, raster.width])
    }

    /// Where a crop begins, before the picture's own start where that is smaller.
    private func offset(_ extent: Int, _ cropped: Int) -> Int {
        switch centre {
        case .roundedDown: (extent - cropped) >> 1
        case .nearest where cropped > extent: -((cropped - extent) / 2)
        case .nearest: Int((Double(extent - cropped) / 2).rounded(.toNearestOrEven))
        }
    }

    private func scaledSize(of image: RGBImage, _ size: Size?) -> PixelSize? {
        switch size {
        case nil: return nil
        case .exact(let size): return size
        case .shortestEdge(let edge):
            let (short, long) = (min(image.width, image.height), max(image.width, image.height))
            let other = Int(Double(edge * long) / Double(short))
            return image.width <= image.height
                ? PixelSize(width: edge, height: other) : PixelSize(width: other, height: edge)
        case .covering(let size): return scaled(image, by: min(ratios(image, size).width, ratios(image, size).height))
        case .fitting(let size): return scaled(image, by: max(ratios(image, size).width, ratios(image, size).height))
        }
    }

    private func ratios(_ image: RGBImage, _ size: PixelSize) -> (width: Double, height: Double) {
        (Double(image.width) / Double(size.width), Double(image.height) / Double(size.height))
    }

    /// A pixel at least, where torchvision would refuse the picture.
    private func scaled(_ image: RGBImage, by ratio: Double) -> PixelSize {
        func extent(_ value: Int) -> Int { max(Int((Double(value) / ratio).rounded(.toNearestOrEven)), 1) }
        return PixelSize(width: extent(image.width), height: extent(image.height))
    }
}
