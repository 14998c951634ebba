/// A profile in the Trace Event Format ("Trace Event Format", Google 2016), which Perfetto and chrome://tracing open.
public enum ChromeTrace {
    /// The trace as JSON: a row for each thread that ran nodes, with parts, runs and nodes inside one another, and one for each helper
    /// of the pool, with what it did of which node.
    ///
    /// - Parameters:
    ///   - profile: the profile.
    ///   - work: what ``ThreadPool/stopRecording()`` returned; empty leaves the helpers' rows out.
    public static func json(_ profile: Profile, work: [ThreadPool.WorkSpan] = []) -> String {
        let starts = profile.spans.map(\.start) + profile.sections.map(\.start)
        let writer = Writer(origin: starts.min() ?? 0)
        var events = [#"{"ph":"M","name":"process_name","pid":1,"args":{"name":"sd-onnx"}}"#]
        let threads = Set(profile.spans.map(\.thread)).union([0]).sorted()
        for thread in threads { events.append(writer.threadName(thread == 0 ? "main" : "thread \(thread)", row: thread)) }
        for section in profile.sections {
            events.append(
                writer.span(
                    section.name.isEmpty ? "run" : section.name, category: section.kind == .run ? "run" : "part",
                    start: section.start, end: section.end, row: 0))
        }
        let nodes = profile.nodes
        for span in profile.spans {
            let node = nodes[span.node]
            events.append(
                writer.span(
                    node.type, category: "node", start: span.start, end: span.end, row: span.thread,
                    arguments: arguments(node, span)))
        }
        events += helpers(profile, work, writer)
        return "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n" + events.joined(separator: ",\n") + "\n]}\n"
    }

    private static func arguments(_ node: Profile.NodeRecord, _ span: Profile.Span) -> [(String, String)] {
        var result = [
            ("node", MarkupText.json(node.name)), ("inputs", list(node.inputs)), ("outputs", list(node.outputs)),
            ("flops", String(node.flops)), ("bytes", String(node.bytes)), ("allocated_bytes", String(span.allocatedBytes)),
            ("run", String(span.run)),
        ]
        if let kernel = node.kernel { result.append(("kernel", MarkupText.json(kernel))) }
        if let fusion = node.fusion { result.append(("fused", list(fusion.nodes))) }
        return result
    }

    private static func list(_ texts: [String]) -> String { "[" + texts.map(MarkupText.json).joined(separator: ",") + "]" }

    /// The rows of the pool's helpers. What they do lies inside of the node that runs meanwhile.
    private static func helpers(_ profile: Profile, _ work: [ThreadPool.WorkSpan], _ writer: Writer) -> [String] {
        let helping = work.filter { $0.worker > 0 }.sorted { $0.start < $1.start }
        var events = Set(helping.map(\.worker)).sorted().map { writer.threadName("helper \($0)", row: 1000 + $0) }
        let records = profile.nodes
        let nodes = profile.spans.filter { records[$0.node].depth == 0 }.sorted { $0.start < $1.start }
        var next = 0
        for span in helping {
            while next + 1 < nodes.count, nodes[next + 1].start <= span.start { next += 1 }
            // Work outside of every node is of runs that weren't watched.
            guard nodes.indices.contains(next), nodes[next].start <= span.start, span.start <= nodes[next].end else { continue }
            let node = records[nodes[next].node]
            events.append(
                writer.span(
                    node.type, category: "work", start: span.start, end: span.end, row: 1000 + span.worker,
                    arguments: [("node", MarkupText.json(node.name))]))
        }
        return events
    }

    private struct Writer {
        let origin: UInt64

        func threadName(_ name: String, row: Int) -> String {
            "{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":1,\"tid\":\(row),\"args\":{\"name\":\(MarkupText.json(name))}}"
        }

        /// A complete event; times are microseconds.
        func span(
            _ name: String, category: String, start: UInt64, end: UInt64, row: Int, arguments: [(String, String)] = []
        ) -> String {
            let list = arguments.map { "\(MarkupText.json($0.0)):\($0.1)" }.joined(separator: ",")
            return "{\"ph\":\"X\",\"name\":\(MarkupText.json(name)),\"cat\":\"\(category)\",\"pid\":1,\"tid\":\(row),"
                + "\"ts\":\(microseconds(start - min(origin, start))),\"dur\":\(microseconds(end - start)),\"args\":{\(list)}}"
        }

        private func microseconds(_ nanoseconds: UInt64) -> String {
            let rest = String(nanoseconds % 1000)
            return "\(nanoseconds / 1000)." + String(repeating: "0", count: 3 - rest.count) + rest
        }
    }
}
