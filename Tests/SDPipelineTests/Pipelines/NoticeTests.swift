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
        ("a fox <lora:style:0.8>", ["<lora:style:0.8>"]), ("a (fox:1.2)", []), ("[fox:owl:0.5]", []),
        ("a fox BREAK an owl", []),
        ("<3", []),
    ]) func findsTagsOfOthers(prompt: String, parts: [String]) throws {
        let expected: [GenerationNotice] = parts.isEmpty ? [] : [.literalSyntax(parts: parts)]
        #expect(try notices { $0.prompt = prompt } == expected)
    }

    /// Where a prompt has syntax, both are read by the grammar, in as many chunks as they need.
    @Test(arguments: [
        ("a (fox:1.2)", PromptSyntax.a1111), ("a fox (red)", .a1111), ("a [fox]", .a1111), ("(", .a1111),
        ("a \\(fox\\)", .a1111),
        ("a \\\\ fox", .a1111), ("BREAK", .a1111), ("fox AND owl", .a1111), ("at 10:30, 4:3", .plain), ("<3", .plain),
        (":)", .plain), ("fox]", .plain), ("a|b", .plain), ("BREAKS, SAND", .plain), ("a\\b", .plain), ("", .plain),
        ("fox and owl :1.2", .plain),
    ]) func choosesTheSyntax(prompt: String, syntax: PromptSyntax) throws {
        let configuration = try PipelineConfiguration(modelFolder: Self.model)
        let long = String(repeating: " rain", count: 100)
        func plan(_ prompt: String, _ negative: String?, _ syntax: PromptSyntax = .automatic) throws -> GenerationPlan {
            try configuration.plan(
                for: GenerationRequest(prompt: prompt, negativePrompt: negative, promptSyntax: syntax))
        }
        #expect(try plan(prompt, nil).promptSyntax == syntax)
        #expect(try plan("", prompt).promptSyntax == (prompt == "fox AND owl" ? .plain : syntax))
        #expect(try plan(prompt, long).notices.isEmpty == (syntax == .a1111))
        #expect(try plan(prompt + long, nil, .a1111).notices.isEmpty)
        #expect(try plan(prompt + long, nil, .plain).notices.count == 1)
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
