import ONNXLoader

extension PictureMask {
    /// The largest blur of a mask, in pixels.
    public static let largestBlur = 1024.0

    /// The mask of all that this one leaves: 255 − v.
    ///
    /// - Throws: ``ImageError/notEnoughMemory(bytes:)``.
    public func inverted() throws -> PictureMask {
        try LargeArray.ask(bytes: values.count)
        return try PictureMask(width: width, height: height, values: values.map { 255 - $0 })
    }

    /// The mask with soft edges, as Pillow's `GaussianBlur` and so diffusers' `VaeImageProcessor.blur` makes them.
    ///
    /// - Parameter radius: the standard deviation in pixels, 0 to ``largestBlur``; 0 changes nothing.
    /// - Throws: ``PipelineError`` for another radius, ``ImageError/notEnoughMemory(bytes:)``.
    public func blurred(radius: Double) throws -> PictureMask {
        guard radius >= 0, radius <= Self.largestBlur else {
            throw PipelineError("The mask's blur is \(radius) pixels, expected 0 to \(Int(Self.largestBlur)).")
        }
        return try PictureMask(GaussianBlur.blurred(raster, radius: radius))
    }

    /// The mask of 255 where a value is one half or more, v / 255 ≥ 0.5, and 0 elsewhere, as diffusers' mask processor makes it.
    ///
    /// - Throws: ``ImageError/notEnoughMemory(bytes:)``.
    public func binarized() throws -> PictureMask {
        try LargeArray.ask(bytes: values.count)
        return try PictureMask(width: width, height: height, values: values.map { $0 >= Self.half ? 255 : 0 })
    }

    /// The mask in another size, as the picture that it belongs to is resized.
    ///
    /// - Parameters:
    ///   - width: pixels in a row, at least 1.
    ///   - height: rows, at least 1.
    ///   - mode: what becomes of other proportions.
    /// - Throws: ``ImageError``: `.wrongSize` or `.notEnoughMemory`.
    public func resized(width: Int, height: Int, mode: ResizeMode = .stretch) throws -> PictureMask {
        try PictureMask(raster.resized(width: width, height: height, mode: mode))
    }

    /// The binarized mask in the size of latents, 1 for what is repainted and 0 for what stays: each value that of the nearest pixel
    /// above and to the left, as torch's `interpolate` takes it.
    ///
    /// - Parameters:
    ///   - width: of the latents, at least 1.
    ///   - height: of the latents, at least 1.
    /// - Returns: flat `[1, 1, height, width]`.
    /// - Throws: ``ImageError``: `.wrongSize` or `.notEnoughMemory`.
    public func latentValues(width: Int, height: Int) throws -> [Float] {
        guard width > 0, height > 0 else { throw ImageError.wrongSize("a mask can't become \(width)x\(height)") }
        try LargeArray.ask(bytes: 4 * width * height)
        let rows = Self.nearest(from: self.height, to: height)
        let columns = Self.nearest(from: self.width, to: width)
        return rows.flatMap { row in columns.map { column in values[row * self.width + column] >= Self.half ? 1 : 0 } }
    }

    /// The source of each place, with the scale in single precision (`area_pixel_compute_scale` and `nearest_idx` of torch's
    /// UpSample.h).
    private static func nearest(from count: Int, to newCount: Int) -> [Int] {
        let scale = Float(count) / Float(newCount)
        return (0..<newCount).map { min(Int((Float($0) * scale).rounded(.down)), count - 1) }
    }
}
