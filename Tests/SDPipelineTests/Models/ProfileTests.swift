import Foundation
import GraphRuntime
import ONNXLoader
import Ops
import SDPipeline
import TestSupport
import Testing

/// A profile's figures against what else tells them. In a row, since they are about time.
@Suite(.serialized) struct ModelProfileTests {
    private struct Count: Decodable {
        let shapes: [String: [Int]]
        let flops: [String: Double]
        let calls: [String: Int]
    }

    private static let counts: [String: Count] = {
        let file = RepositoryRoot.url.appendingPathComponent("Tests/References/flops.json")
        return (try? JSONDecoder().decode([String: Count].self, from: Data(contentsOf: file))) ?? [:]
    }()

    private func session(_ component: String, optimize: Bool) throws -> Session {
        let file = RepositoryRoot.url.appendingPathComponent("Models/emoji/\(component)/model.onnx")
        return try Session(
            graph: ONNXModel(contentsOf: file).graph, library: StandardOperators.library,
            options: SessionOptions(optimize: optimize, threads: ThreadPool()))
    }

    private func inputs(_ session: Session, _ shapes: [String: [Int]]) throws -> [String: Tensor] {
        var result: [String: Tensor] = [:]
        for input in session.inputs {
            let shape = try Shape(try #require(shapes[input.name]))
            guard case .tensor(let dtype, _)? = input.type else { continue }
            result[input.name] =
                dtype == .int64
                ? try Tensor([Int64](repeating: 1, count: shape.count), shape: shape)
                : try Tensor([Float](repeating: 0.5, count: shape.count), shape: shape)
        }
        return result
    }

    /// Tests/References/flops.py counts from the shapes that ONNX Runtime computes.
    @Test func countsFLOPs() throws {
        #expect(Self.counts.count == 3)
        for (component, count) in Self.counts {
            for optimize in [false, true] {
                let session = try session(component, optimize: optimize)
                let profile = Profile()
                _ = try session.run(inputs(session, count.shapes), observer: profile)
                let rows = ProfileTable(profile, by: .op).rows
                func flops(_ types: String...) -> Double {
                    rows.reduce(0) { $0 + (types.contains($1.name) ? $1.flops : 0) }
                }
                // Also those that were fused with what is before and behind them.
                let convolutions = rows.filter { $0.name.split(separator: "+").contains("Conv") }.reduce(0) { $0 + $1.flops }
                #expect(convolutions == count.flops["Conv"] ?? 0)
                if !optimize {
                    for type in ["MatMul", "Gemm"] {
                        let row = rows.first { $0.name == type }
                        #expect(
                            row?.flops ?? 0 == count.flops[type] ?? 0 && row?.calls ?? 0 == count.calls[type] ?? 0, "\(type)")
                    }
                } else {
                    // What is fused does the products of the graph, and softmaxes and GELUs beside them.
                    let products = (count.flops["MatMul"] ?? 0) + (count.flops["Gemm"] ?? 0)
                    let found = flops("MatMul", "Gemm", "MatMul+GEGLU", "Attention")
                    #expect(found >= products * 0.999 && found <= products * 1.1, "\(component): \(found), \(products)")
                }
            }
        }
    }

    /// The largest share of the wall time of a run of a model that its nodes took, for pictures enough that nodes aren't a matter of
    /// microseconds, of runs until one is as large as is asked, or of a thousand. Where other work stops a run between two nodes, its
    /// share says nothing.
    private func largestShareOfWallTime(_ component: String, sought: Double) throws -> Double {
        let session = try session(component, optimize: true)
        let shapes = try #require(Self.counts[component]?.shapes).mapValues { $0.count < 2 ? $0 : [4 * $0[0]] + $0.dropFirst() }
        let given = try inputs(session, shapes)
        // The first run makes the plan, and notes each node.
        let profile = Profile()
        _ = try session.run(given, observer: profile)
        let clock = ContinuousClock()
        var largest = 0.0
        for run in 1...1000 where largest < sought {
            let wall = try clock.measure { _ = try session.run(given, observer: profile) }
            let nanoseconds = Double(wall.components.seconds) * 1e9 + Double(wall.components.attoseconds) / 1e9
            let share = profile.spans.reduce(0.0) { $0 + ($1.run == run ? Double($1.nanoseconds) : 0) } / nanoseconds
            #expect(share <= 1)
            largest = max(largest, share)
        }
        return largest
    }

    /// What the nodes took is what the run took: all that isn't of the nodes, what the profile itself does included, is less than 2 %.
    @Test(arguments: ["unet", "vae_decoder"]) func sumsToWallTime(component: String) throws {
        #expect(try largestShareOfWallTime(component, sought: 0.98) >= 0.98)
    }

    @Test func splitsAPipeline() throws {
        let pipeline = try StableDiffusionPipeline(modelFolder: RepositoryRoot.url.appendingPathComponent("Models/emoji"))
        let profile = Profile()
        let clock = ContinuousClock()
        let start = clock.now
        _ = try pipeline.generate(GenerationRequest(prompt: "a fox", steps: 3, seed: 1), observer: profile)
        let wall = clock.now - start
        let parts = profile.sections.filter { $0.kind == .part }
        #expect(
            parts.map(\.name) == [
                "tokenizer", "text encoder", "U-Net step 1", "scheduler", "U-Net step 2", "scheduler", "U-Net step 3",
                "scheduler",
                "VAE decoder",
            ])
        for (earlier, later) in zip(parts, parts.dropFirst()) { #expect(earlier.end <= later.start) }
        // All graphs run inside of parts.
        for run in profile.sections where run.kind == .run {
            #expect(parts.contains { $0.start <= run.start && run.end <= $0.end })
        }
        let sum = parts.reduce(0.0) { $0 + Double($1.nanoseconds) }
        let nanoseconds = Double(wall.components.seconds) * 1e9 + Double(wall.components.attoseconds) / 1e9
        #expect(sum <= nanoseconds)
    }

    @Test func previewsLive() throws {
        let pipeline = try StableDiffusionPipeline(modelFolder: RepositoryRoot.url.appendingPathComponent("Models/emoji"))
        var request = GenerationRequest(prompt: "a red apple on a blue background", steps: 6, guidanceScale: 5, seed: 7)
        var pictures: [LivePreview.Method: RGBImage] = [:]
        let plain = try pipeline.generate(request)
        for method in [LivePreview.Method.vae, .linear] {
            request.livePreview = LivePreview(interval: 2, method: method)
            var completed: [Int] = []
            let result = try pipeline.generate(request) { progress in
                if case .preview(let step, 6, let images) = progress {
                    completed.append(step)
                    pictures[method] = images.first
                }
                return true
            }
            #expect(completed == [2, 4])
            // Looking on changes nothing.
            #expect(result.images == plain.images)
        }
        // The map is fitted to the VAE, so its colours are near those of the VAE's own picture of the same latents.
        let (exact, linear) = (try #require(pictures[.vae]), try #require(pictures[.linear]))
        #expect(exact.width == linear.width && exact.height == linear.height)
        let difference = zip(exact.pixels, linear.pixels).reduce(0) { $0 + abs(Int($1.0) - Int($1.1)) }
        let gray = exact.pixels.reduce(0) { $0 + abs(Int($1) - 128) }
        #expect(Double(difference) < 0.7 * Double(gray), "\(difference), \(gray)")
    }

    @Test func measuresTheMachine() throws {
        let peak = try MachinePeak(threads: ThreadPool(), repeats: 1, rounds: 200_000, arrayBytes: 4 << 20)
        #expect(peak.gflops > 0.5 && peak.gbPerS > 0.1 && peak.gflops.isFinite && peak.gbPerS.isFinite)
    }
}

@Suite struct TerminalImageTests {
    private func image() throws -> RGBImage {
        try RGBImage(width: 2, height: 2, pixels: [255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255])
    }

    @Test(arguments: [
        (["TERM": "xterm-kitty"], TerminalImage.kitty), (["TERM": "xterm-ghostty"], .kitty),
        (["TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"], .iterm2), (["TERM_PROGRAM": "WezTerm"], .iterm2),
        (["TERM": "foot"], .sixel), (["TERM": "mlterm"], .sixel), (["TERM": "xterm-256color"], .blocks), ([:], .blocks),
        (["TERM": "xterm-kitty", "TMUX": "/tmp/tmux-0/default,1,0"], .blocks),
        (["TERM": "dumb", "SD_ONNX_TERMINAL": "sixel"], .sixel),
        (["TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"], .iterm2),
        (["TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"], .blocks256),
        (["TERM": "screen-256color", "TMUX": "/tmp/tmux-0/default,1,0", "LC_TERMINAL": "iTerm2"], .blocks),
        (["TERM": "screen", "STY": "1.pts-0"], .blocks256),
        (["TERM": "xterm", "MLTERM": "3.9.0"], .sixel),
        (["TERM": "xterm-256color", "KONSOLE_VERSION": "221203"], .kitty),
        (["TERM": "xterm-256color", "KONSOLE_VERSION": "211203"], .blocks),
    ]) func detects(environment: [String: String], expected: TerminalImage) throws {
        #expect(try TerminalImage.detected(environment: environment) == expected)
    }

    /// What xterm as a VT340, foot, and xterm without options answer.
    @Test func asksTheTerminal() throws {
        func found(_ attributes: [Int], _ environment: [String: String]) throws -> TerminalImage {
            try TerminalImage.detected(environment: environment) { attributes }
        }
        #expect(try found([63, 1, 2, 4, 6, 9, 15, 22], ["TERM": "xterm"]) == .sixel)
        #expect(try found([62, 4, 22], ["TERM": "xterm-256color", "COLORTERM": "truecolor"]) == .sixel)
        #expect(try found([64, 1, 2, 6, 9, 15, 18, 21, 22], ["TERM": "xterm"]) == .blocks)
        #expect(try found([1, 2, 4], ["TERM": "tmux-256color", "TMUX": "x"]) == .sixel)
        #expect(try found([62, 4], ["TERM": "xterm-kitty"]) == .kitty)
        expectError("can't show pictures (TERM is dumb)") { try found([], ["TERM": "dumb"]) }
    }

    @Test func refusesUnknownTerminals() {
        expectError("SD_ONNX_TERMINAL is \"vt52\", expected one of") {
            try TerminalImage.detected(environment: ["SD_ONNX_TERMINAL": "vt52"])
        }
    }

    @Test func writesBlocks() throws {
        let text = try TerminalImage.blocks.sequence(image(), columns: 2, rows: 1)
        #expect(text == "\u{1B}[38;2;255;0;0;48;2;0;0;255m▀\u{1B}[38;2;0;255;0;48;2;255;255;255m▀\u{1B}[0m")
    }

    /// xterm's palette of 256: 16 + 36 r + 6 g + b with levels of 0, 95, 135, 175, 215 and 255.
    @Test func writesBlocksInFewColors() throws {
        let image = try RGBImage(width: 2, height: 2, pixels: [255, 0, 0, 95, 135, 175, 40, 60, 215, 255, 255, 255])
        let text = try TerminalImage.blocks256.sequence(image, columns: 2, rows: 1)
        #expect(text == "\u{1B}[38;5;196;48;5;26m▀\u{1B}[38;5;67;48;5;231m▀\u{1B}[0m")
    }

    @Test func writesSixels() throws {
        let text = try TerminalImage.sixel.sequence(image(), columns: 1, rows: 1)
        #expect(text.hasPrefix("\u{1B}Pq\"1;1;8;16") && text.hasSuffix("\u{1B}\\"))
        // Red is 180, its first four columns of six rows all set: 63 + 63 = '~'.
        #expect(text.contains("#180;2;100;0;0") && text.contains("#180!4~!4?$"))
    }

    @Test func writesPNGs() throws {
        let kitty = try TerminalImage.kitty.sequence(image(), columns: 4, rows: 2)
        #expect(kitty.hasPrefix("\u{1B}_Ga=T,f=100,q=2,C=1,i=1,p=1,c=4,r=2,m=0;") && kitty.hasSuffix("\u{1B}\\"))
        let content = try #require(kitty.split(separator: ";").last?.dropLast(2))
        #expect(try PNGFile.decode([UInt8](try #require(Data(base64Encoded: String(content))))) == image())
        let iterm = try TerminalImage.iterm2.sequence(image(), columns: 4, rows: 2)
        #expect(iterm.hasPrefix("\u{1B}]1337;File=inline=1;width=4;height=2;") && iterm.hasSuffix("\u{07}"))
    }

    @Test func splitsLargePicturesForKitty() throws {
        var state: UInt64 = 1
        let pixels = (0..<3 * 100 * 100).map { _ -> UInt8 in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(state >> 56)
        }
        let text = try TerminalImage.kitty.sequence(RGBImage(width: 100, height: 100, pixels: pixels), columns: 9, rows: 9)
        let chunks = text.components(separatedBy: "\u{1B}\\").filter { !$0.isEmpty }
        #expect(
            chunks.count > 1 && chunks.dropLast().allSatisfy { $0.contains("m=1;") } && chunks.last?.contains("m=0;") == true)
        for chunk in chunks { #expect((chunk.components(separatedBy: ";").last ?? "").count <= 4096) }
    }
}
