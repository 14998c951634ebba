import Foundation
import SDPipeline
import Testing

@Suite struct NoticeTests {
    static let model = RepositoryRoot.url.appendingPathComponent("Models/emoji")

    private func notices(_ edit: (inout GenerationRequest) -> Void) throws -> [GenerationNotice] {
        var request = GenerationRequest(prompt: "a fox")
        edit(&request)
        return try PipelineConfiguration(modelFolder: Self.model).plan(for: request).notices
    }

    @Test func saysWhatHasNoEffect() throws {
        let long = String(repeating: "fox ", count: 100)
        #expect(try notices { _ in }.isEmpty)
        #expect(try notices { $0.prompt = long } == [.promptCut(tokens: 200, limit: 30)])
        #expect(try notices { $0.negativePrompt = long } == [.negativePromptCut(tokens: 200, limit: 30)])
        for scale in [1, 0.5, -3] {
            #expect(
                try notices { ($0.negativePrompt, $0.guidanceScale) = ("rain", scale) }
                    == [.negativePromptUnused(guidanceScale: scale)])
        }
        #expect(try notices { $0.guidanceScale = 1 }.isEmpty)
    }

    @Test func saysWhichSchedulersDoNotSuit() throws {
        let unsuited = try SchedulerRegistry.standard.descriptors.filter { descriptor in
            let found = try notices { $0.scheduler = descriptor.shortName }
            return found.contains(.schedulerUnsuited(name: descriptor.shortName, madeFor: descriptor.modelKind))
        }
        #expect(
            Set(unsuited.map(\.shortName)).isSuperset(
                of: ["ddim-inverse", "edm-euler", "edm-dpm++2m", "flow-euler", "flow-heun", "ipndm", "lcm", "tcd"]))
        #expect(unsuited.allSatisfy { $0.modelKind != .diffusion })
        #expect(!unsuited.contains { $0.shortName == "ddim" })
    }

    @Test(arguments: [
        ("a (fox:1.2)", ["(fox:1.2)"]), ("((fox)) on [[ice]]", ["((fox))", "[[ice]]"]), ("[fox:owl:0.5]", ["[fox:owl:0.5]"]),
        ("[fox|owl]", ["[fox|owl]"]), ("a fox <lora:style:0.8>", ["<lora:style:0.8>"]), ("a fox BREAK an owl", ["BREAK"]),
        ("fox AND owl", ["AND"]), ("a fox (red), [small] and sand", []), ("at 10:30, 4:3", []), ("<3", []),
    ]) func findsSyntaxOfOthers(prompt: String, parts: [String]) throws {
        let expected: [GenerationNotice] = parts.isEmpty ? [] : [.literalSyntax(parts: parts)]
        #expect(try notices { $0.prompt = prompt } == expected)
    }

    @Test func saysThatAStartIsResized() throws {
        let configuration = try PipelineConfiguration(modelFolder: Self.model)
        let request = GenerationRequest(prompt: "a fox")
        #expect(
            try configuration.plan(for: request, startingFrom: (70, 200)).notices
                == [.startResized(from: "70×200", to: "64×208")])
        #expect(try configuration.plan(for: request, startingFrom: (64, 208)).notices.isEmpty)
    }
}
