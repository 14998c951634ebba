/// A width and a height in pixels.
public struct PixelSize: Sendable, Equatable, Codable {
    /// Pixels in a row.
    public var width: Int
    /// Rows.
    public var height: Int

    /// A size of this width and height.
    public init(width: Int, height: Int) {
        self.width = width
        self.height = height
    }
}

/// A place in a picture, counted in pixels from the top left.
public struct PixelPoint: Sendable, Equatable, Codable {
    /// Columns to the left of it.
    public var x: Int
    /// Rows above it.
    public var y: Int

    /// A place of these coordinates.
    public init(x: Int, y: Int) {
        self.x = x
        self.y = y
    }
}

/// What models of the SDXL family are told about pictures like the one to make (Podell et al. 2023, section 2.2); other models ignore it.
public struct ConditionedSizes: Sendable, Equatable {
    /// The size of the picture before it was scaled, in pixels; nil takes the size that is made. Small ones make pictures blurred.
    public var original: PixelSize?
    /// Where the picture was cropped; 0, 0 for a picture whose subject is in the middle.
    public var crop: PixelPoint
    /// The size of the picture, in pixels; nil takes the size that is made.
    public var target: PixelSize?
    /// Of refiners: how good the picture looks, in about 1 to 10.
    public var aestheticScore: Double
    /// Of refiners: how good a picture looks that is to be kept away from.
    public var negativeAestheticScore: Double

    /// Sizes with diffusers' defaults; each parameter is the property of its name.
    public init(
        original: PixelSize? = nil, crop: PixelPoint = PixelPoint(x: 0, y: 0), target: PixelSize? = nil,
        aestheticScore: Double = 6, negativeAestheticScore: Double = 2.5
    ) {
        self.original = original
        self.crop = crop
        self.target = target
        self.aestheticScore = aestheticScore
        self.negativeAestheticScore = negativeAestheticScore
    }
}
