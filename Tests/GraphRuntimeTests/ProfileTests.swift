import Foundation
import GraphRuntime
import Testing

#if canImport(FoundationXML)
    import FoundationXML
#endif

@Suite struct ProfileTests {
    /// y = 2 (x + w), named as torch.onnx names nodes, w a constant.
    private func makeSession(optimize: Bool = true, threads: Int = 2) throws -> Session {
        var toy = ToyGraph()
        toy.input("x", [.symbolic("n")])
        toy.constant("w", try Tensor([Float(1), 1, 1]))
        toy.node("Add", ["x", "w"], ["s"])
        toy.node("Scale", ["s"], ["t"])
        toy.node("Scale", ["t"], ["y"])
        toy.output("y")
        toy.graph.nodes[0].name = "/block.0/layers.1/add/Add"
        toy.graph.nodes[1].name = "/block.0/layers.1/scale/Scale"
        toy.graph.nodes[2].name = "<&\"last\u{1}>"
        return try Session(
            graph: toy.graph, library: toyLibrary,
            options: SessionOptions(optimize: optimize, threads: ThreadPool(threadCount: threads)))
    }

    private func profile(runs: Int, optimize: Bool = true) throws -> Profile {
        let session = try makeSession(optimize: optimize)
        let profile = Profile()
        for _ in 0..<runs { _ = try session.run(["x": Tensor([Float(1), 2, 3])], observer: profile) }
        return profile
    }

    @Test(arguments: [true, false]) func recordsEveryNode(optimize: Bool) throws {
        let profile = try profile(runs: 3, optimize: optimize)
        #expect(profile.nodes.count == 3 && profile.spans.count == 9 && profile.runCount == 3)
        #expect(profile.spans.map(\.run) == [0, 0, 0, 1, 1, 1, 2, 2, 2])
        #expect(profile.nodes.map(\.type) == ["Add", "Scale", "Scale"])
        #expect(profile.nodes[0].inputs == ["float32[3]", "float32[3]"] && profile.nodes[0].outputs == ["float32[3]"])
        // What the default cost says: 4 bytes for each element of inputs and outputs.
        #expect(profile.nodes[0].bytes == 36)
        for span in profile.spans { #expect(span.end >= span.start && span.thread == 0) }
        for (earlier, later) in zip(profile.spans, profile.spans.dropFirst()) { #expect(earlier.end <= later.start) }
        let runs = profile.sections.filter { $0.kind == .run }
        #expect(runs.count == 3)
        for span in profile.spans {
            #expect(runs[span.run].start <= span.start && span.end <= runs[span.run].end)
        }
        // The last node's output has memory of its own; unplanned, so has every output. Other tests allocate meanwhile.
        #expect(profile.spans[2].allocatedBytes >= 12)
        #expect(optimize || profile.spans.allSatisfy { $0.allocatedBytes >= 12 })
    }

    @Test func groups() throws {
        let profile = try profile(runs: 2)
        let byOperator = ProfileTable(profile, by: .op)
        #expect(Set(byOperator.rows.map(\.name)) == ["Add", "Scale"] && byOperator.calls == 6 && byOperator.runCount == 2)
        let scale = try #require(byOperator.rows.first { $0.name == "Scale" })
        #expect(scale.calls == 4 && scale.perRun.count == 2)
        #expect(scale.perRun.reduce(0, +) == scale.nanoseconds)
        #expect(byOperator.rows.reduce(0) { $0 + $1.nanoseconds } == byOperator.nodeNanoseconds)
        #expect(byOperator.runNanoseconds >= byOperator.nodeNanoseconds)
        #expect(ProfileTable(profile, by: .node).rows.count == 3)
        #expect(Set(ProfileTable(profile, by: .shape).rows.map(\.name)) == ["Add float32[3], float32[3]", "Scale float32[3]"])
        #expect(Set(ProfileTable(profile, by: .layer).rows.map(\.name)) == ["/block.0/layers.1", "/"])
        #expect(ProfileTable(profile, by: .fusion).rows.allSatisfy { $0.name.hasPrefix("not fused: ") })
        let byMemory = ProfileTable(profile, by: .node, order: .memory).rows.map(\.allocatedBytes)
        #expect(byMemory == byMemory.sorted(by: >))
    }

    @Test func withoutObserverNothingIsRecorded() throws {
        let session = try makeSession()
        let pool = ThreadPool(threadCount: 2)
        _ = try session.run(["x": Tensor([Float(1), 2, 3])])
        pool.forEach(8) { _ in }
        #expect(pool.stopRecording().isEmpty)
    }

    @Test func threadsRecordTheirWork() {
        let pool = ThreadPool(threadCount: 2)
        pool.startRecording()
        for _ in 0..<50 { pool.forEach(64) { _ in for _ in 0..<1000 { _ = UInt64.random(in: 0...1) } } }
        let work = pool.stopRecording()
        #expect(work.contains { $0.worker == 0 } && work.allSatisfy { $0.start <= $0.end && (0..<2).contains($0.worker) })
        pool.forEach(8) { _ in }
        #expect(pool.stopRecording().isEmpty)
    }

    /// Perfetto's importer nests complete events of a thread by time: they must lie inside of one another or apart.
    @Test func traceNests() throws {
        let profile = try profile(runs: 3)
        profile.didRun(
            Section(
                name: "all", kind: .part, start: profile.sections[0].start - 10, end: (profile.sections.last?.end ?? 0) + 10))
        let work = [
            ThreadPool.WorkSpan(worker: 1, start: profile.spans[0].start, end: profile.spans[0].end),
            ThreadPool.WorkSpan(worker: 1, start: 0, end: 1),
        ]
        let text = ChromeTrace.json(profile, work: work)
        let object = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        let events = try #require(object["traceEvents"] as? [[String: Any]])
        let spans = events.filter { $0["ph"] as? String == "X" }
        #expect(spans.count == 9 + 3 + 1 + 1)
        var rows: [Int: [ClosedRange<Double>]] = [:]
        for span in spans {
            let start: Double = try #require(span["ts"] as? Double)
            let length: Double = try #require(span["dur"] as? Double)
            let row: Int = try #require(span["tid"] as? Int)
            rows[row, default: []].append(start...(start + length))
        }
        #expect(Set(rows.keys) == [0, 1001])
        for row in rows.values {
            for a in row {
                for b in row where a.lowerBound < b.lowerBound {
                    let isBehind: Bool = b.lowerBound >= a.upperBound - 1e-6
                    let isInside: Bool = b.upperBound <= a.upperBound + 1e-6
                    #expect(isBehind || isInside)
                }
            }
        }
        let first: [String: Any] = try #require(spans.first { $0["cat"] as? String == "node" })
        let node: [String: Any] = try #require(first["args"] as? [String: Any])
        #expect(
            node["node"] as? String == "/block.0/layers.1/add/Add"
                && node["inputs"] as? [String] == ["float32[3]", "float32[3]"])
        let names = events.compactMap { ($0["args"] as? [String: Any])?["name"] as? String }
        #expect(names.contains("main") && names.contains("helper 1"))
    }

    @Test func flameGraphIsXML() throws {
        let graph = FlameGraph(try profile(runs: 2), title: "a & b < c")
        let texts = try WellFormed.texts(graph.svg)
        #expect(texts.contains { $0.hasPrefix("block.0: ") } && texts.contains { $0.hasPrefix("layers.1: ") })
        #expect(texts.contains { $0.hasPrefix("<&\"last\u{FFFD}>: ") } && texts.contains { $0.hasPrefix("a & b < c: ") })
    }

    /// The parts of a program that its runs lie in stand below the modules, one for all of a name.
    @Test func flameGraphOfParts() throws {
        let profile = try profile(runs: 3)
        for (name, run) in zip(["encoder", "U-Net step 1", "U-Net step 2"], profile.sections) {
            profile.didRun(Section(name: name, kind: .part, start: run.start, end: run.end))
        }
        let texts = try WellFormed.texts(FlameGraph(profile, title: "all").svg)
        #expect(texts.contains { $0.hasPrefix("encoder: ") && $0.hasSuffix(" 3 calls") })
        #expect(texts.contains { $0.hasPrefix("U-Net: ") && $0.hasSuffix(" 6 calls") })
        #expect(texts.filter { $0.hasPrefix("block.0: ") }.count == 2)
    }

    @Test func statistics() {
        // numpy 2.3: np.percentile([4, 1, 3, 2, 10], 95) is 8.8, np.std(ddof=1) is 3.5355339059327378.
        let figures = Statistics([4, 1, 3, 2, 10])
        #expect(figures.mean == 4 && figures.median == 3 && figures.minimum == 1 && figures.maximum == 10)
        #expect(abs(figures.p95 - 8.8) < 1e-12 && abs(figures.standardDeviation - 3.5355339059327378) < 1e-12)
        #expect(Statistics([1, 2]).median == 1.5 && Statistics([]).mean == 0 && Statistics([7]).standardDeviation == 0)
    }

    @Test func hierarchies() {
        func path(_ name: String, _ scopes: [String] = []) -> [String] {
            var node = Node(name: name, identity: OperatorIdentity(type: "Conv", version: 1), inputs: [], outputs: [])
            node.scopes = scopes
            return NodeHierarchy.path(of: node)
        }
        #expect(path("/down_blocks.0/resnets.0/conv1/Conv") == ["down_blocks.0", "resnets.0", "conv1", "Conv"])
        #expect(path("node_conv2d_1", ["down_blocks.0", "resnets.0"]) == ["down_blocks.0", "resnets.0", "node_conv2d_1"])
        #expect(path("") == ["Conv"] && path("conv") == ["conv"])
        func layer(_ name: String) -> String { NodeHierarchy.layer(of: path(name)) }
        #expect(layer("/down_blocks.0/attentions.1/transformer_blocks.0/attn1/MatMul") == "/down_blocks.0/attentions.1")
        #expect(layer("/text_model/encoder/layers.0/self_attn/MatMul") == "/text_model/encoder/layers.0/self_attn")
        #expect(layer("/conv_in/Conv") == "/conv_in" && layer("Conv_3") == "/" && layer("/layers/0/3/x/Conv") == "/layers/0/3")
    }
}

/// XML as a parser sees it.
final class WellFormed: NSObject, XMLParserDelegate {
    private var texts: [String] = []
    private var current = ""

    /// The texts of all elements; fails where the document isn't well-formed.
    static func texts(_ document: String) throws -> [String] {
        let collector = WellFormed()
        let parser = XMLParser(data: Data(document.utf8))
        parser.delegate = collector
        try #require(parser.parse(), "\(String(describing: parser.parserError)) at line \(parser.lineNumber)")
        return collector.texts
    }

    func parser(
        _ parser: XMLParser, didStartElement elementName: String, namespaceURI: String?, qualifiedName: String?,
        attributes: [String: String]
    ) { current = "" }

    func parser(_ parser: XMLParser, foundCharacters string: String) { current += string }

    func parser(_ parser: XMLParser, didEndElement elementName: String, namespaceURI: String?, qualifiedName: String?) {
        if !current.isEmpty { texts.append(current) }
        current = ""
    }
}
