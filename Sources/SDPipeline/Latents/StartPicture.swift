/// The picture that a run starts from, at the size that is made or whose latents are resized to it, with its mask, and what becomes of the result.
struct StartPicture {
    let image: RGBImage
    /// Of the same size, 255 for what is repainted, 0 for what stays, nothing between; nil to change all of it.
    let mask: PictureMask?
    /// Where the result goes; nil where it is the picture.
    let place: PicturePlace?

    /// Nil where there is no picture to start from.
    init?(_ plan: GenerationPlan) throws {
        let request = plan.request
        guard var image = request.initialImage else { return nil }
        var mask = try request.inpainting.map { try $0.edited() }
        if let outpainting = request.outpainting {
            mask = try outpainting.mask(for: image, over: mask)
            image = try outpainting.enlarged(image)
        }
        guard let mask else {
            let sizes = plan.configuration.sizes
            self.image =
                request.resizeMode == .latent
                ? try image.resized(
                    width: sizes.nearestWidth(to: image.width), height: sizes.nearestHeight(to: image.height))
                : try image.resized(width: plan.width, height: plan.height, mode: request.resizeMode)
            (self.mask, place) = (nil, nil)
            return
        }
        var resized: (image: RGBImage, mask: PictureMask)
        if let padding = request.inpainting?.padding {
            let region = try mask.region(padding: padding, width: plan.width, height: plan.height)
            // As diffusers with padding_mask_crop: the whole region, whatever its proportions.
            resized = (
                try image.cropped(to: region).resized(width: plan.width, height: plan.height, mode: .fit),
                try mask.cropped(to: region).resized(width: plan.width, height: plan.height, mode: .fit)
            )
            place = PicturePlace(picture: image, mask: mask, region: region)
        } else {
            resized = (
                try image.resized(width: plan.width, height: plan.height, mode: request.resizeMode),
                try mask.resized(width: plan.width, height: plan.height, mode: request.resizeMode)
            )
            place = nil
        }
        resized.mask = try resized.mask.binarized()
        if request.inpainting?.content == .fill { resized.image = try resized.image.filling(resized.mask) }
        self.image = resized.image
        self.mask = resized.mask
    }
}
