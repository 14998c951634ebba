import Foundation
import GraphRuntime
import SDPipeline
import TestSupport
import Testing

/// Every family of models at tiny sizes, for every task that it has, against diffusers' own pipelines over the same weights
/// (Tests/References/families.py).
@Suite struct FamilyParityTests {
    static let root = TestCache.folder.appendingPathComponent("families")

    static let families: [String] = {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: root.path)) ?? []
        return names.filter { FileManager.default.fileExists(atPath: root.appendingPathComponent("\($0)/cases.json").path) }
            .sorted()
    }()

    @Test func thereAreFamilies() throws {
        #expect(Self.families.count == 26, "\(Self.families)")
        let cases = try Self.families.flatMap { try ParityCase.all($0, in: Self.root) }
        #expect(cases.count == 269 && Set(cases.map(\.task)) == ["text", "picture", "inpaint"])
    }

    @Test(arguments: families) func sameAsDiffusers(family: String) throws {
        let cases = try ParityCase.all(family, in: Self.root)
        for (parts, items) in Dictionary(grouping: cases, by: { [$0.model, $0.refiner, $0.vae] }) {
            func folder(_ path: String?) -> URL? { path.map { Self.root.appendingPathComponent($0) } }
            let configuration = try PipelineConfiguration(
                modelFolder: folder(parts[0]), vae: folder(parts[2]), refiner: folder(parts[1]))
            let pipeline = try StableDiffusionPipeline(configuration)
            for item in items {
                let result = try pipeline.generate(item.request(in: Self.root))
                try item.expectSame(result, in: Self.root)
                #expect(result.flagged == item.flagged, "\(family) \(item.name)")
                let marks = item.flagged?.map(Optional.some) ?? Array(repeating: nil, count: item.batch)
                #expect(result.records.map(\.isFlagged) == marks)
            }
        }
    }
}
