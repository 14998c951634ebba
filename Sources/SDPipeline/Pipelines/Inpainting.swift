/// Which part of the picture to start from is repainted, and how.
public struct Inpainting: Sendable, Equatable {
    /// Of the size of the picture to start from; 255 for what is repainted.
    public var mask: PictureMask
    /// Whether the mask says what stays.
    public var invertsMask: Bool
    /// Softens the mask's edges, in pixels (the standard deviation of a Gaussian), 0 to ``PictureMask/largestBlur``. It widens what is
    /// repainted, and counts where the result is laid into the picture, see ``padding``.
    public var blur: Double
    /// What lies under the mask when the run begins.
    public var content: MaskContent
    /// Repaint only the masked part at full size: the mask's surroundings by so many pixels are cropped, made at the size that is made, and
    /// laid into the picture, in which everything outside of the mask stays as it is, to the byte. Nil repaints within the whole picture,
    /// which then passes the VAE.
    public var padding: Int?

    /// A mask; each parameter is the property of its name.
    public init(
        mask: PictureMask, invertsMask: Bool = false, blur: Double = 0, content: MaskContent = .original, padding: Int? = nil
    ) {
        self.mask = mask
        self.invertsMask = invertsMask
        self.blur = blur
        self.content = content
        self.padding = padding
    }

    /// The mask as it is used: inverted and blurred.
    func edited() throws -> PictureMask {
        let mask = invertsMask ? try mask.inverted() : mask
        return blur > 0 ? try mask.blurred(radius: blur) : mask
    }
}
