/// Where in a picture a result is laid.
struct PicturePlace: Sendable {
    let picture: RGBImage
    /// Of the picture's size: the opacity of what is laid into it.
    let mask: PictureMask
    let region: PictureRegion

    /// The picture with the result in it; outside of the mask every byte stays as it is.
    func pasting(_ made: RGBImage) throws -> RGBImage { try picture.pasting(made, mask: mask, region: region) }
}
