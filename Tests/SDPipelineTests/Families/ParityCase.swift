import Foundation
import SDPipeline
import TestSupport
import Testing

/// One picture, or batch, that diffusers made, as families.py, controls.py and step_caching.py write it: what was asked for, and the files that
/// hold the answer.
struct ParityCase: Decodable, Sendable {
    struct Bounds: Decodable {
        /// Of the largest difference, relative to the largest value.
        let latents: Double
        /// Of 255.
        let picture: Int
    }

    struct ControlPart: Decodable {
        let network: String?
        let image: String
        let strength: Double
        let start: Double
        let end: Double
    }

    let model: String
    let name: String
    let task: String
    let prompt: String
    let negativePrompt: String?
    let guidanceScale: Double
    let steps: Int
    let strength: Double?
    let seed: UInt64
    let generators: String
    let batch: Int
    let width: Int
    let height: Int
    let scheduler: String?
    let schedulerOptions: [String: SchedulerValue]
    let image: String?
    let mask: String?
    let originalSize: [Int]?
    let cropsCoordsTopLeft: [Int]?
    let targetSize: [Int]?
    let aestheticScore: Double?
    let negativeAestheticScore: Double?
    let refiner: String?
    let refinerStart: Double?
    let vae: String?
    let safetyChecker: Bool?
    /// With a safety checker, the pictures that became black.
    let flagged: [Bool]?
    let controls: [ControlPart]?
    let guess: Bool?
    let freeu: [Double]?
    let caching: String?
    let guidanceInterval: [Double]?
    let latents: String
    let pictures: [String]
    let tolerance: Bounds

    /// The cases of one model.
    ///
    /// - Parameters:
    ///   - name: the model's folder.
    ///   - root: of a script's results.
    static func all(_ name: String, in root: URL) throws -> [ParityCase] {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        struct File: Decodable { let cases: [ParityCase] }
        let file = root.appendingPathComponent("\(name)/cases.json")
        try #require(FileManager.default.fileExists(atPath: file.path), "\(file.path) is missing: run Tools/setup-test-data.sh")
        return try decoder.decode(File.self, from: Data(contentsOf: file)).cases
    }

    /// - Parameter root: of the files that the request names.
    func request(in root: URL) throws -> GenerationRequest {
        func file(_ path: String) -> URL { root.appendingPathComponent(path) }
        var request = GenerationRequest(
            prompt: prompt, negativePrompt: negativePrompt, width: width, height: height, steps: steps,
            guidanceScale: guidanceScale, seed: seed, batchCount: batch,
            batchSeeds: generators == "each" ? .consecutive : .shared, scheduler: scheduler,
            schedulerOverrides: schedulerOptions)
        request.refinerStart = refinerStart
        request.checksSafety = safetyChecker ?? false
        if let image {
            request.initialImage = try PNGFile.read(file(image))
            request.strength = strength
        }
        if let mask {
            request.inpainting = Inpainting(mask: try PictureMask(PictureSource(contentsOf: file(mask))))
        }
        func size(_ list: [Int]?) -> PixelSize? { list.map { PixelSize(width: $0[1], height: $0[0]) } }
        request.pictureSizes.original = size(originalSize)
        request.pictureSizes.target = size(targetSize)
        if let crop = cropsCoordsTopLeft { request.pictureSizes.crop = PixelPoint(x: crop[1], y: crop[0]) }
        if let score = aestheticScore { request.pictureSizes.aestheticScore = score }
        if let score = negativeAestheticScore { request.pictureSizes.negativeAestheticScore = score }
        request.controls = try (controls ?? []).map { control in
            Control(
                network: control.network.map(file), image: try PNGFile.read(file(control.image)), strength: control.strength,
                start: control.start, end: control.end, guesses: guess ?? false)
        }
        if let factors = freeu { request.freeU = FreeU(b1: factors[0], b2: factors[1], s1: factors[2], s2: factors[3]) }
        request.stepCaching = try caching.map { try #require(StepCaching($0)) }
        request.guidanceInterval = guidanceInterval.map { GuidanceInterval(start: $0[0], end: $0[1]) }
        return request
    }

    /// Latents and pictures are the case's, within its tolerances.
    ///
    /// - Parameter root: of the files that hold the answer.
    func expectSame(_ result: GenerationResult, in root: URL) throws {
        let expected = try NPYArray(contentsOf: root.appendingPathComponent(latents))
        #expect(result.latents.shape == expected.shape, "\(model) \(name)")
        expectClose(
            result.latents.values, try expected.floats(), shape: expected.shape,
            within: Tolerance(ofLargest: tolerance.latents), "\(model) \(name)")
        #expect(result.images.count == pictures.count)
        for (image, file) in zip(result.images, pictures) {
            let picture = try PNGFile.read(root.appendingPathComponent(file))
            #expect((image.width, image.height) == (picture.width, picture.height))
            expectClose(
                image.pixels, picture.pixels, shape: [picture.height, picture.width, 3], within: tolerance.picture,
                "\(model) \(name)")
        }
    }
}
