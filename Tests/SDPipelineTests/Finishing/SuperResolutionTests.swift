import Foundation
import SDPipeline
import TestSupport
import Testing

/// Pictures that networks enlarge, against ONNX Runtime on the whole picture (Tests/References/upscale.py).
@Suite struct SuperResolutionTests {
    struct Case: Decodable, CustomTestStringConvertible {
        let network: String
        let factor: Int
        let white: String?
        let file: String

        var testDescription: String { network }
    }

    static let folder = RepositoryRoot.url.appendingPathComponent("Tests/SDPipelineTests/Fixtures/upscale")

    static func cases() throws -> [Case] {
        try JSONDecoder().decode([Case].self, from: Data(contentsOf: folder.appendingPathComponent("cases.json")))
    }

    private static func network(_ name: String, range: SuperResolutionNetwork.ValueRange = .unit) throws
        -> SuperResolutionNetwork
    {
        try SuperResolutionNetwork(contentsOf: folder.appendingPathComponent(name), range: range)
    }

    private static func picture() throws -> RGBImage {
        try PNGFile.read(folder.appendingPathComponent("picture.png"), alpha: .dropped)
    }

    @Test(arguments: try cases()) func enlargesAsONNXRuntime(example: Case) throws {
        let picture = try Self.picture()
        let network = try Self.network(
            example.network, range: example.white.flatMap(SuperResolutionNetwork.ValueRange.init) ?? .unit)
        let expected = try PNGFile.read(Self.folder.appendingPathComponent(example.file))
        let whole = try network.enlarged(picture, tiling: PictureTiling(side: nil, overlap: 2))
        #expect(whole.width == picture.width * example.factor && whole.height == picture.height * example.factor)
        expectClose(
            whole.pixels, expected.pixels, shape: [whole.height, whole.width, 3],
            within: example.network == "luminance.onnx" ? 2 : 1)
        // The networks see 2 pixels to each side, but for the one that halves its input.
        guard example.network != "halving.onnx" else { return }
        for (side, overlap) in [(24, 2), (17, 5), (40, 2)] {
            var reports: [(Int, Int)] = []
            let tiled = try network.enlarged(picture, tiling: PictureTiling(side: side, overlap: overlap)) {
                reports.append(($0, $1))
            }
            #expect(tiled == whole, "tiles of \(side)")
            #expect(reports.count > 1 && reports.last.map { $0.0 == $0.1 && $0.0 == reports.count } == true)
        }
    }

    /// Where tiles overlap by less than the network sees, only what lies near their cuts differs.
    @Test func seamsStayNearTheCuts() throws {
        let (picture, network) = (try Self.picture(), try Self.network("rgb.onnx"))
        let whole = try network.enlarged(picture, tiling: PictureTiling(side: nil))
        let cut = try network.enlarged(picture, tiling: PictureTiling(side: 27, overlap: 0))
        #expect(cut != whole)
        // Columns begin at 0 and 26, of which the second overlaps the first by one: the cut is at 26.
        for row in 0..<whole.height where !(40...160).contains(row) {
            for column in 0..<whole.width where abs(column - 26 * 4) > 8 + 4 {
                let place = 3 * (row * whole.width + column)
                #expect(whole.pixels[place..<place + 3] == cut.pixels[place..<place + 3])
            }
        }
    }

    /// A size of any kind: the network until it is large enough, Lanczos' filter for the rest.
    @Test func enlargesToASize() throws {
        let (picture, network) = (try Self.picture(), try Self.network("rgb.onnx"))
        let once = try network.enlarged(picture)
        #expect(try network.enlarged(picture, width: 100, height: 70) == once.resized(width: 100, height: 70))
        #expect(try network.enlarged(picture, width: picture.width, height: picture.height) == picture)
        let twice = try network.enlarged(once)
        #expect(try network.enlarged(picture, width: 700, height: 300) == twice.resized(width: 700, height: 300))
    }

    @Test(arguments: [
        (
            "refused-fraction.onnx",
            "to a picture of shape [1, 3, 38, 53], expected a picture that is a whole number of times larger."
        ),
        ("refused-vector.onnx", "answers float32 of shape [1, 3] to a picture of shape"),
        ("refused-two.onnx", "takes input, other, expected a super-resolution network's one picture."),
        ("refused-channels.onnx", "takes float32 of [n, 5, h, w], expected pictures: [N, 3, height, width]"),
        ("refused-infinite.onnx", "answers numbers that aren't finite."),
        ("none.onnx", "doesn't exist, expected a super-resolution network."),
        ("../upscale", "has no model.onnx, expected a super-resolution network."), ("cases.json", "cases.json"),
    ]) func refuses(name: String, sentence: String) throws {
        let black = try RGBImage(width: 53, height: 38, pixels: [UInt8](repeating: 0, count: 3 * 53 * 38))
        expectError(sentence) { try Self.network(name).enlarged(black) }
    }

    @Test func refusesImpossibleTiles() throws {
        let (picture, network) = (try Self.picture(), try Self.network("rgb.onnx"))
        expectError("Tiles of 16 pixels overlap by 8 on each side, which leaves nothing of them: expected an overlap below 8.")
        {
            try network.enlarged(picture, tiling: PictureTiling(side: 16, overlap: 8))
        }
        expectError("expected 1 to 8192 pixels and an overlap of 0 or more.") {
            try network.enlarged(picture, tiling: PictureTiling(side: 0, overlap: 8))
        }
        expectError("Tiles of 20 pixels overlap by 10") {
            try Self.network("fixed.onnx").enlarged(picture, tiling: PictureTiling(side: nil, overlap: 10))
        }
    }
}
