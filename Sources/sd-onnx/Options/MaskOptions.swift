import ArgumentParser
import Foundation
import SDPipeline

/// Which part of a picture is repainted.
struct MaskOptions: ParsableArguments {
    @Option(
        name: [.long, .customLong("mask-image")], parsing: .unconditional,
        help: ArgumentHelp(
            "With --init-img, repaint what is white in this picture of the same size, or where it has transparency, what is opaque.",
            valueName: "FILE"), transform: OptionValues.path)
    var mask: String?

    @Option(
        parsing: .unconditional, help: "With --mask, soften its edges by so many pixels. (default: 0)",
        transform: OptionValues.number)
    var maskBlur: Double?

    @Flag(help: "With --mask, repaint what is black.")
    var invertMask = false

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "With --mask, what lies under it at first: the picture, noise, nothing, or the colours around it. (default: original)",
            valueName: "original|noise|nothing|fill"), transform: OptionValues.choice)
    var maskContent: MaskContent?

    @Option(
        name: [.long, .customLong("padding-mask-crop")], parsing: .unconditional,
        help: ArgumentHelp(
            "With --mask, crop to it and so many pixels around it, make that at full size, and paste it back.",
            valueName: "PADDING"), transform: OptionValues.whole(0...PictureMask.largestPadding))
    var onlyMasked: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "With --init-img, paint room around it, in pixels on each side.", valueName: "LEFT,TOP,RIGHT,BOTTOM"),
        transform: OptionValues.list(of: 4, example: "64,0,64,0"))
    var outpaint: [Int]?

    /// - Parameter hasPicture: whether there is a picture to start from.
    func check(hasPicture: Bool) throws {
        for (name, isGiven) in [("--mask", mask != nil), ("--outpaint", outpaint != nil)] where isGiven && !hasPicture {
            throw ValidationError("\(name) needs a picture to start from: --init-img.")
        }
        let needing = [
            ("--mask-blur", maskBlur != nil), ("--invert-mask", invertMask), ("--mask-content", maskContent != nil),
            ("--only-masked", onlyMasked != nil),
        ]
        for (name, isGiven) in needing where isGiven && mask == nil { throw ValidationError("\(name) needs a mask: --mask.") }
        if let maskBlur, !(0...PictureMask.largestBlur).contains(maskBlur) {
            throw ValidationError("--mask-blur is \(maskBlur), expected 0 to \(Int(PictureMask.largestBlur)) pixels.")
        }
        if onlyMasked != nil, outpaint != nil {
            throw ValidationError("--only-masked makes a part of the picture, and --outpaint all of it and more: give one.")
        }
    }

    /// Adds what was asked for to a request.
    func fill(_ request: inout GenerationRequest, limit: PixelLimitOptions) throws {
        if let mask {
            let source = try PictureSource(contentsOf: URL(fileURLWithPath: mask), pixelLimit: limit.maxPixels)
            request.inpainting = Inpainting(
                mask: try PictureMask(source), invertsMask: invertMask, blur: maskBlur ?? 0, content: maskContent ?? .original,
                padding: onlyMasked)
            request.inputFiles.mask = InputFiles.File(path: mask, bytes: source.bytes)
        }
        if let outpaint {
            request.outpainting = try Outpainting(
                left: outpaint[0], top: outpaint[1], right: outpaint[2], bottom: outpaint[3])
        }
    }
}
