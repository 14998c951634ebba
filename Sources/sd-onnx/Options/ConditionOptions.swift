import ArgumentParser
import SDPipeline

/// What models of the SDXL family are told about pictures like the one to make.
struct ConditionOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "SDXL: the size of the picture before it was scaled. (default: the size that is made)", valueName: "WxH"),
        transform: OptionValues.size)
    var originalSize: PixelSize?

    @Option(
        name: [.long, .customLong("crops-coords-top-left")], parsing: .unconditional,
        help: ArgumentHelp("SDXL: where the picture was cropped, from the left and the top. (default: 0,0)", valueName: "X,Y"),
        transform: OptionValues.list(of: 2, example: "0,0"))
    var crop: [Int]?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("SDXL: the size of the picture. (default: the size that is made)", valueName: "WxH"),
        transform: OptionValues.size)
    var targetSize: PixelSize?

    @Option(
        parsing: .unconditional, help: "SDXL refiners: how good the picture looks, in about 1 to 10. (default: 6)",
        transform: OptionValues.number)
    var aestheticScore: Double?

    @Option(
        parsing: .unconditional,
        help: "SDXL refiners: how good pictures look that are to be kept away from. (default: 2.5)",
        transform: OptionValues.number)
    var negativeAestheticScore: Double?

    var sizes: ConditionedSizes {
        var sizes = ConditionedSizes(original: originalSize, target: targetSize)
        if let crop { sizes.crop = PixelPoint(x: crop[0], y: crop[1]) }
        sizes.aestheticScore = aestheticScore ?? sizes.aestheticScore
        sizes.negativeAestheticScore = negativeAestheticScore ?? sizes.negativeAestheticScore
        return sizes
    }
}
