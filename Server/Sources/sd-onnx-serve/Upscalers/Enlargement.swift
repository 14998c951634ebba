import SDPipeline

/// A picture made larger, without a model.
struct Enlargement: Sendable {
    enum Size: Sendable {
        case factor(Double)
        case pixels(width: Int, height: Int, crops: Bool)
    }

    let picture: RGBImage
    let upscaler: SecondPass.Upscaler
    /// Another one, whose result is mixed in, and how much of it, above 0 and up to 1.
    var second: (upscaler: SecondPass.Upscaler, share: Double)?
    let size: Size

    /// The size that is enlarged to, before anything is cut off.
    var enlargedSize: (width: Int, height: Int) {
        func scaled(_ factor: Double, rounding: FloatingPointRoundingRule) -> (Int, Int) {
            (
                max(Int((Double(picture.width) * factor).rounded(rounding)), 1),
                max(Int((Double(picture.height) * factor).rounded(rounding)), 1)
            )
        }
        switch size {
        case .factor(let factor): return scaled(factor, rounding: .down)
        case .pixels(let width, let height, _):
            let factor = max(Double(width) / Double(picture.width), Double(height) / Double(picture.height))
            return scaled(factor, rounding: .toNearestOrAwayFromZero)
        }
    }

    /// Whether a network takes part, which takes its time.
    var needsNetwork: Bool {
        [upscaler, second?.upscaler].contains { if case .network? = $0 { true } else { false } }
    }

    /// - Parameter report: called with the number of tiles that a network has done, and of all.
    /// - Throws: ``PipelineError`` where a network can't be used, `CancellationError` where the task is cancelled.
    func result(_ store: UpscalerStore, report: (Int, Int) -> Void = { _, _ in }) throws -> RGBImage {
        var image = try enlarged(by: upscaler, store, report: report)
        if let second {
            image = try image.mixed(with: try enlarged(by: second.upscaler, store, report: report), share: second.share)
        }
        guard case .pixels(let width, let height, crops: true) = size else { return image }
        return try image.resized(width: width, height: height, mode: .fill)
    }

    private func enlarged(
        by upscaler: SecondPass.Upscaler, _ store: UpscalerStore, report: (Int, Int) -> Void
    ) throws -> RGBImage {
        let (width, height) = enlargedSize
        switch upscaler {
        case .network(let url):
            return try store.network(url).enlarged(picture, width: width, height: height, report: report)
        case .nearest: return try picture.resizedToNearest(width: width, height: height)
        case .lanczos, .latent: return try picture.resized(width: width, height: height)
        }
    }
}

extension RGBImage {
    /// A share of another picture of the same size mixed in: Pillow's `Image.blend`.
    fileprivate func mixed(with other: RGBImage, share: Double) throws -> RGBImage {
        let alpha = Float(share)
        let mixed = zip(pixels, other.pixels).map { one, two in
            UInt8(min(max(Float(one) + alpha * Float(Int(two) - Int(one)), 0), 255))
        }
        return try RGBImage(width: width, height: height, pixels: mixed)
    }
}
