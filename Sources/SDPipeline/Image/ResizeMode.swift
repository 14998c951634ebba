import ONNXLoader

/// What becomes of a picture whose proportions differ from those of the size that is made of it. All but ``latent`` scale by Lanczos' filter.
public enum ResizeMode: String, Sendable, CaseIterable {
    /// The whole picture, as large as it fits, in the middle; the bands beside it continue its outermost rows or columns. diffusers'
    /// `resize_mode="fill"`.
    case fit
    /// The picture as large as it covers the size, of which the middle is kept. diffusers' `resize_mode="crop"`.
    case fill
    /// The whole picture, without regard to its proportions. diffusers' `resize_mode="default"`.
    case stretch
    /// The whole picture, without regard to its proportions, whose latents are scaled: as ``LatentUpscaling/bilinear`` from its own size, of
    /// what the model takes the nearest. As ``stretch`` where no latents are made of a picture alone: of a picture with a mask, and of one that
    /// a ControlNet sees. AUTOMATIC1111's "just resize (latent upscale)".
    case latent
}

extension RGBImage {
    /// The picture in another size, as diffusers' `VaeImageProcessor` resizes a picture to start from.
    ///
    /// - Parameters:
    ///   - width: pixels in a row, at least 1.
    ///   - height: rows, at least 1.
    ///   - mode: what becomes of other proportions.
    /// - Throws: ``ImageError``: `.wrongSize` or `.notEnoughMemory`.
    public func resized(width: Int, height: Int, mode: ResizeMode = .stretch) throws -> RGBImage {
        try RGBImage(raster.resized(width: width, height: height, mode: mode))
    }
}

extension RGBImage {
    /// The picture in another size, of which each pixel is the one that its middle falls on: Pillow's `NEAREST`.
    ///
    /// - Parameters:
    ///   - newWidth: pixels in a row, at least 1.
    ///   - newHeight: rows, at least 1.
    /// - Throws: ``ImageError``: `.wrongSize` or `.notEnoughMemory`.
    public func resizedToNearest(width newWidth: Int, height newHeight: Int) throws -> RGBImage {
        guard newWidth > 0, newHeight > 0 else { throw ImageError.wrongSize("a picture can't become \(newWidth)x\(newHeight)") }
        if (newWidth, newHeight) == (width, height) { return self }
        try LargeArray.ask(bytes: 3 * newWidth * newHeight)
        /// Places add up step by step as there, so that roundings are the same.
        func places(from count: Int, to newCount: Int) -> [Int] {
            let scale = Double(count) / Double(newCount)
            var place = scale * 0.5
            return (0..<newCount).map { _ in
                defer { place += scale }
                return min(Int(place), count - 1)
            }
        }
        let (columns, rows) = (places(from: width, to: newWidth), places(from: height, to: newHeight))
        var result: [UInt8] = []
        result.reserveCapacity(3 * newWidth * newHeight)
        let source = pixels
        for row in rows {
            for column in columns {
                let start = 3 * (row * width + column)
                result += source[start..<start + 3]
            }
        }
        return try RGBImage(width: newWidth, height: newHeight, pixels: result)
    }
}

extension Raster {
    /// - Throws: ``ImageError``: `.wrongSize` or `.notEnoughMemory`.
    func resized(width: Int, height: Int, mode: ResizeMode) throws -> Raster {
        guard width > 0, height > 0 else { throw ImageError.wrongSize("a picture can't become \(width)x\(height)") }
        guard mode != .stretch, mode != .latent else { return try Resampling.resized(self, width: width, height: height) }
        let (scaledWidth, scaledHeight) = scaledSize(width: width, height: height, covers: mode == .fill)
        let scaled = try Resampling.resized(self, width: scaledWidth, height: scaledHeight)
        var result = try Raster(width: width, height: height, channels: channels, filledWith: 0)
        let (left, top) = (width / 2 - scaledWidth / 2, height / 2 - scaledHeight / 2)
        result.paste(scaled, left: left, top: top)
        if scaledWidth < width {
            result.continueColumns(of: scaled, column: 0, next: 1, into: 0..<left)
            result.continueColumns(of: scaled, column: scaledWidth - 1, next: scaledWidth - 2, into: left + scaledWidth..<width)
        } else if scaledHeight < height {
            result.continueRows(of: scaled, row: 0, next: 1, into: 0..<top)
            result.continueRows(of: scaled, row: scaledHeight - 1, next: scaledHeight - 2, into: top + scaledHeight..<height)
        }
        return result
    }

    /// The largest size of these proportions that fits, or the smallest that covers; fractions of pixels are left out.
    private func scaledSize(width: Int, height: Int, covers: Bool) -> (width: Int, height: Int) {
        let (ratio, own) = (Double(width) / Double(height), Double(self.width) / Double(self.height))
        let byHeight = self.width * height / self.height
        let byWidth = self.height * width / self.width
        return covers
            ? (ratio > own ? width : max(byHeight, width), ratio <= own ? height : max(byWidth, height))
            : (ratio < own ? width : max(min(byHeight, width), 1), ratio >= own ? height : max(min(byWidth, height), 1))
    }

    /// diffusers stretches a box of no height at the edge by Pillow's bicubic filter, which then has the weights 9/8 for the outermost
    /// pixel and -1/8 for the next.
    private static func continued(_ outermost: UInt8, _ next: UInt8) -> UInt8 {
        UInt8(clamping: (9 * Int(outermost) - Int(next) + 4) >> 3)
    }

    private mutating func continueRows(of scaled: Raster, row: Int, next: Int, into rows: Range<Int>) {
        let size = channels * width
        let (edge, inner) = (row * size, (0..<scaled.height).contains(next) ? next * size : row * size)
        let band = (0..<size).map { Self.continued(scaled.values[edge + $0], scaled.values[inner + $0]) }
        for target in rows { values.replaceSubrange(target * size..<(target + 1) * size, with: band) }
    }

    private mutating func continueColumns(of scaled: Raster, column: Int, next: Int, into columns: Range<Int>) {
        let next = (0..<scaled.width).contains(next) ? next : column
        for row in 0..<height {
            for channel in 0..<channels {
                let start = channels * row * scaled.width + channel
                let value = Self.continued(scaled.values[start + channels * column], scaled.values[start + channels * next])
                for target in columns { values[channels * (row * width + target) + channel] = value }
            }
        }
    }
}
