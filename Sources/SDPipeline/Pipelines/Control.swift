import Foundation

/// A ControlNet and the picture that it sees.
public struct Control: Sendable, Equatable {
    /// Its graph, a folder with it as `model.onnx` or one with `controlnet/model.onnx`; nil takes the one that the model has inside of its U-Net, or
    /// as `controlnet/model.onnx`.
    public var network: URL?
    /// What it sees, which is resized to the size that is made by Lanczos' filter.
    public var image: RGBImage
    /// What becomes of the picture where its proportions aren't those of the size that is made.
    public var resizeMode: ResizeMode
    /// What is made of the picture, once it has its size, before the network sees it.
    public var preprocessing: ControlPreprocessing
    /// What its residuals are multiplied by; any finite number, 1 for as the network was trained.
    public var strength: Double
    /// The share of the run before which it takes no part, from 0 to below ``end`` (diffusers' `control_guidance_start`).
    public var start: Double
    /// The share of the run after which it takes no part, to 1: each step that ends later is without it.
    public var end: Double
    /// Whether it takes part in the prompt's prediction alone, and weaker where there are more pixels, so that it counts also with an empty prompt
    /// (diffusers' `guess_mode`).
    public var guesses: Bool
    /// Where the picture comes from, for what pictures say about themselves.
    public var file: InputFiles.File?

    /// A ControlNet with a picture; each parameter is the property of its name.
    public init(
        network: URL? = nil, image: RGBImage, resizeMode: ResizeMode = .stretch, preprocessing: ControlPreprocessing = .none,
        strength: Double = 1, start: Double = 0, end: Double = 1, guesses: Bool = false, file: InputFiles.File? = nil
    ) {
        self.network = network
        self.image = image
        self.resizeMode = resizeMode
        self.preprocessing = preprocessing
        self.strength = strength
        self.start = start
        self.end = end
        self.guesses = guesses
        self.file = file
    }

    /// Whether an evaluation lies in its share of the run: one that ends later than that doesn't, as in diffusers.
    ///
    /// - Parameters:
    ///   - index: from 0 on.
    ///   - count: of the whole run.
    func takesPart(inEvaluation index: Int, of count: Int) -> Bool {
        Double(index) / Double(count) >= start && Double(index + 1) / Double(count) <= end
    }

    /// - Throws: ``PipelineError`` for numbers that make no sense, and a network that isn't there.
    func check() throws {
        guard Float(strength).isFinite else {
            throw PipelineError("The strength of a ControlNet is \(strength), expected a finite number.", kind: .invalidRequest)
        }
        guard (0...1).contains(start), (0...1).contains(end), start < end else {
            throw PipelineError(
                "A ControlNet takes part from \(start) to \(end) of the run, expected shares from 0 to 1, the first below the second.",
                kind: .invalidRequest)
        }
        if case .canny(let low, let high) = preprocessing, !(low.isFinite && high.isFinite && low >= 0 && high >= low) {
            throw PipelineError(
                "The thresholds of Canny's edges are \(low) and \(high), expected two numbers from 0 on, the second not below the first.",
                kind: .invalidRequest)
        }
        if let network { _ = try ControlNetFiles(network) }
    }

    /// What the network sees, [3, height, width] from 0 to 1.
    ///
    /// - Parameter region: the part of the picture that is made; nil for all of it.
    func pixels(width: Int, height: Int, region: PictureRegion?) throws -> [Float] {
        let resized =
            if let region {
                // As diffusers with padding_mask_crop: the whole region, whatever its proportions.
                try image.cropped(to: region).resized(width: width, height: height, mode: .fit)
            } else {
                try image.resized(width: width, height: height, mode: resizeMode)
            }
        let seen = try preprocessing.apply(to: resized)
        let bytes = seen.pixels
        return (0..<3).flatMap { channel in stride(from: channel, to: bytes.count, by: 3).map { Float(bytes[$0]) / 255 } }
    }
}

/// What is made of a control picture before the network sees it.
public enum ControlPreprocessing: Sendable, Equatable {
    /// Nothing.
    case none
    /// White edges on black (Canny 1986), with thresholds of the gradient: edges begin above the higher and go on above the lower. OpenCV's
    /// `Canny`, of a picture in colours.
    case canny(low: Double, high: Double)

    /// Canny's edges with the thresholds that ControlNet's own annotator has, 100 and 200.
    public static let standardCanny = ControlPreprocessing.canny(low: 100, high: 200)

    /// The picture that the network sees instead.
    ///
    /// - Throws: ``ImageError/notEnoughMemory(bytes:)``.
    public func apply(to image: RGBImage) throws -> RGBImage {
        switch self {
        case .none: image
        case .canny(let low, let high): try CannyEdges.image(of: image, low: low, high: high)
        }
    }
}
