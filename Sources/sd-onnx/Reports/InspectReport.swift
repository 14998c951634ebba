import Foundation
import GraphRuntime

/// What `inspect` shows of one graph. Written as JSON with keys in snake case.
struct InspectReport: Encodable {
    let path: String
    let summary: ModelReport
    var optimized: OptimizedReport?
    var plan: PlanReport?
    var nodes: [GraphListing.Entry]?
    var weights: [WeightReport]?

    var text: String {
        var parts = [summary.text]
        if let optimized { parts.append(optimized.text) }
        if let plan { parts.append(plan.text) }
        if let nodes { parts.append(GraphListing.text(nodes)) }
        if let weights { parts.append(WeightReport.text(weights)) }
        return parts.joined(separator: "\n\n")
    }
}

/// The graph after the passes, and what the fusions did.
struct OptimizedReport: Encodable {
    struct Count: Encodable {
        let fusion: String
        let count: Int
    }

    struct Fired: Encodable {
        let fusion: String
        let node: String
        /// The nodes of the file that it stands for.
        let replaced: [String]
    }

    struct Miss: Encodable {
        let fusion: String
        let node: String
        let reason: String
    }

    let nodeCount: Int
    /// Nodes that only give a value another shape; nothing runs for them.
    let viewCount: Int
    let operators: [ModelReport.Count]
    let fusions: [Count]
    let fired: [Fired]
    let nearlyFired: [Miss]

    init(_ inspection: PlanInspection) {
        nodeCount = inspection.steps.count
        viewCount = inspection.steps.count { $0.isView }
        var counts: [String: Int] = [:]
        for step in inspection.steps { counts[step.node.identity.type, default: 0] += 1 }
        operators = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
            .map { ModelReport.Count(operator: $0.key, count: $0.value) }
        let report = inspection.fusions
        fusions = report.counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map {
            Count(fusion: $0.key, count: $0.value)
        }
        fired = report.fired.map { Fired(fusion: $0.origin.fusion, node: $0.node, replaced: $0.origin.nodes) }
        nearlyFired = report.misses.map { Miss(fusion: $0.fusion, node: $0.node, reason: $0.reason) }
    }

    var text: String {
        var lines = [
            "after the passes: \(nodeCount) nodes, of which \(viewCount) only change a shape: "
                + operators.map { "\($0.operator) \($0.count)" }.joined(separator: ", "),
            "fusions: " + (fusions.isEmpty ? "none fired" : fusions.map { "\($0.fusion) \($0.count)" }.joined(separator: ", ")),
        ]
        for entry in fired {
            // A title is `Conv-18 "/conv_in/Conv"`: here the types tell what was there, and --json has the names.
            let types = entry.replaced.map { String($0.prefix { $0 != "-" }) }
            lines.append("  fired: \(entry.fusion) at \(entry.node), of \(types.joined(separator: ", "))")
        }
        if nearlyFired.isEmpty { lines.append("no fusion nearly fired") }
        for miss in nearlyFired { lines.append("  not fired: \(miss.fusion) at \(miss.node): \(miss.reason)") }
        return lines.joined(separator: "\n")
    }
}

/// A plan's memory.
struct PlanReport: Encodable {
    struct Block: Encodable {
        let value: String
        let bytes: Int
        let firstStep: Int
        let lastStep: Int
        let offset: Int
    }

    let arenaBytes: Int
    /// The most bytes in use at one step; the arena is larger by what its pieces leave between them.
    let peakBytes: Int
    let peakStep: Int
    let peakNode: String
    /// Bytes in use at each step.
    let liveBytes: [Int]
    let blocks: [Block]

    init(_ inspection: PlanInspection) {
        arenaBytes = inspection.arenaByteCount
        let live = inspection.liveBytes
        liveBytes = live
        peakStep = live.indices.max { live[$0] < live[$1] } ?? 0
        peakBytes = live.max() ?? 0
        peakNode = inspection.steps.indices.contains(peakStep) ? inspection.steps[peakStep].node.title : ""
        blocks = inspection.blocks.map {
            Block(value: $0.value, bytes: $0.byteCount, firstStep: $0.first, lastStep: $0.last, offset: $0.offset)
        }
    }

    var text: String {
        "memory: arena of \(ByteText.of(arenaBytes)) for \(blocks.count) pieces; most in use \(ByteText.of(peakBytes)) at step "
            + "\(peakStep), \(peakNode)"
    }
}

/// The nodes of a graph.
enum GraphListing {
    struct Entry: Encodable {
        let name: String
        let type: String
        let kernel: String?
        let inputs: [String]
        let outputs: [String]
        /// What is known of the outputs' types and shapes; empty texts where nothing is.
        let types: [String]
        /// The modules around the node.
        let layer: String
    }

    static func nodes(_ graph: Graph, _ facts: [Fact]?, kernels: [String?]?) -> [Entry] {
        graph.nodes.enumerated().map { index, node in
            func name(_ id: ValueID?) -> String { id.map { graph.values[$0].name } ?? "" }
            func type(_ id: ValueID?) -> String {
                guard let id else { return "" }
                if let fact = facts?[id], let dtype = fact.dtype { return "\(dtype)\(fact.shape.map { "\($0)" } ?? "[…]")" }
                return graph.values[id].type.map { "\($0)" } ?? ""
            }
            return Entry(
                name: node.name, type: "\(node.identity)", kernel: kernels?[index], inputs: node.inputs.map(name),
                outputs: node.outputs.map(name), types: node.outputs.map(type),
                layer: NodeHierarchy.layer(of: NodeHierarchy.path(of: node)))
        }
    }

    static func text(_ nodes: [Entry]) -> String {
        nodes.map { node in
            let outputs = zip(node.outputs, node.types).map { $1.isEmpty ? $0 : "\($0): \($1)" }.joined(separator: ", ")
            let kernel = node.kernel.map { " [\($0)]" } ?? ""
            return
                "\(node.name.isEmpty ? "-" : node.name)  \(node.type)\(kernel) (\(node.inputs.joined(separator: ", "))) → \(outputs)"
        }
        .joined(separator: "\n")
    }
}

/// Figures of one constant.
struct WeightReport: Encodable {
    let name: String
    let type: String
    let shape: [Int]
    let bytes: Int
    let min: Double?
    let max: Double?
    let mean: Double?
    let stdev: Double?
    /// Nil where the values aren't known, as the two below.
    let nan: Int?
    let infinite: Int?
    let zeros: Int?

    init(_ statistics: WeightStatistics) {
        name = statistics.name
        type = statistics.dtype.description
        shape = statistics.shape.dimensions
        bytes = statistics.byteCount
        min = statistics.minimum
        max = statistics.maximum
        mean = statistics.mean
        stdev = statistics.standardDeviation
        nan = statistics.hasValues ? statistics.nanCount : nil
        infinite = statistics.hasValues ? statistics.infinityCount : nil
        zeros = statistics.hasValues ? statistics.zeroCount : nil
    }

    static func text(_ weights: [WeightReport]) -> String {
        var table = TerminalTable([
            .init(title: "constant", isText: true, importance: 10), .init(title: "type and shape", isText: true, importance: 8),
            .init(title: "min", importance: 6), .init(title: "max", importance: 6), .init(title: "mean", importance: 6),
            .init(title: "stdev", importance: 4), .init(title: "NaN", importance: 7), .init(title: "inf", importance: 5),
            .init(title: "zeros", importance: 3),
        ])
        func figure(_ value: Double?) -> String { value.map { String(format: "%.4g", $0) } ?? "-" }
        func count(_ value: Int?) -> String { value.map(String.init) ?? "-" }
        for weight in weights {
            table.add(
                [
                    weight.name, "\(weight.type)\(weight.shape)", figure(weight.min), figure(weight.max), figure(weight.mean),
                    figure(weight.stdev), count(weight.nan), count(weight.infinite), count(weight.zeros),
                ], emphasis: (weight.nan ?? 0) + (weight.infinite ?? 0) > 0 ? .strong : .none)
        }
        return table.text
    }
}
