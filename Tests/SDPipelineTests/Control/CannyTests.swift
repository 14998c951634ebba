import Foundation
import SDPipeline
import TestSupport
import Testing

/// Edges in pictures, pixel by pixel as OpenCV's Canny (Tests/References/canny.py).
@Suite struct CannyTests {
    private static let folder = RepositoryRoot.url.appendingPathComponent("Tests/SDPipelineTests/Fixtures/canny")

    private struct Index: Decodable {
        let pictures: [String]
        let thresholds: [[Double]]
    }

    @Test func sameAsOpenCV() throws {
        let index = try JSONDecoder().decode(
            Index.self, from: Data(contentsOf: Self.folder.appendingPathComponent("index.json")))
        #expect(index.pictures.count == 9 && index.thresholds.count == 8)
        for name in index.pictures {
            let picture = try PNGFile.read(Self.folder.appendingPathComponent("\(name).png"))
            let edges = try PNGFile.read(Self.folder.appendingPathComponent("\(name)-edges.png"))
            let size = picture.pixels.count
            for (number, limits) in index.thresholds.enumerated() {
                let made = try ControlPreprocessing.canny(low: limits[0], high: limits[1]).apply(to: picture)
                let expected = Array(edges.pixels[number * size..<(number + 1) * size])
                let different = zip(made.pixels, expected).count { $0 != $1 }
                #expect(different == 0, "\(name) \(limits): \(different) of \(size) values differ")
            }
        }
    }

    @Test func refusesThresholds() throws {
        let configuration = try PipelineConfiguration(modelFolder: ControlParityTests.root.appendingPathComponent("sd1/model"))
        let image = try RGBImage(width: 8, height: 8, pixels: [UInt8](repeating: 0, count: 192))
        for (low, high) in [(-1, 5), (5, 4), (.nan, 5), (5, .infinity)] as [(Double, Double)] {
            let control = Control(
                network: ControlParityTests.root.appendingPathComponent("sd1/control-0"), image: image,
                preprocessing: .canny(low: low, high: high))
            let error = #expect(throws: PipelineError.self) {
                try configuration.plan(for: GenerationRequest(prompt: "a fox", controls: [control]))
            }
            #expect(error?.message.contains("thresholds of Canny's edges") == true, "\(error?.message ?? "")")
        }
    }
}
