/// A plan's memory as a drawing: steps from left to right, the arena from bottom to top, a rectangle for each piece of it and the time
/// that it is needed, and below, the bytes in use.
public struct MemoryDrawing: Sendable {
    private static let width = 1200.0
    private static let left = 80.0
    private static let right = 20.0
    private static let top = 66.0
    private static let arenaHeight = 420.0
    private static let liveHeight = 140.0
    private static let gap = 50.0

    private let plan: PlanInspection
    private let title: String

    /// A drawing of a plan's arena under a title.
    public init(_ plan: PlanInspection, title: String) {
        self.plan = plan
        self.title = title
    }

    /// The drawing as an SVG file, which needs no other.
    public var svg: String {
        let height = Self.top + Self.arenaHeight + Self.gap + Self.liveHeight + 40
        let live = plan.liveBytes
        let peak = live.indices.max { live[$0] < live[$1] }
        let peakText = peak.map { "; most in use \(MarkupText.bytes(live[$0])) at step \($0), \(plan.steps[$0].node.title)" }
        var lines = [
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"\(Int(Self.width))\" height=\"\(Int(height))\" "
                + "viewBox=\"0 0 \(Int(Self.width)) \(Int(height))\" font-family=\"sans-serif\" font-size=\"11\">",
            "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>",
            "<text x=\"\(Int(Self.left))\" y=\"20\" font-size=\"14\">\(MarkupText.xml(title))</text>",
            "<text x=\"\(Int(Self.left))\" y=\"38\">\(MarkupText.xml("arena \(MarkupText.bytes(plan.arenaByteCount)), \(plan.steps.count) steps\(peakText ?? "")"))</text>",
        ]
        drawArena(into: &lines)
        drawLive(live, into: &lines)
        return (lines + ["</svg>", ""]).joined(separator: "\n")
    }

    private var stepWidth: Double { (Self.width - Self.left - Self.right) / Double(max(plan.steps.count, 1)) }

    private func drawArena(into lines: inout [String]) {
        let bottom = Self.top + Self.arenaHeight
        let scale = Self.arenaHeight / Double(max(plan.arenaByteCount, 1))
        axis(bottom: bottom, height: Self.arenaHeight, most: plan.arenaByteCount, label: "arena", into: &lines)
        let inputs = Set(plan.graph.inputs.map { plan.graph.values[$0].name })
        for block in plan.blocks where block.first < plan.steps.count {
            let last = min(block.last, plan.steps.count - 1)
            let node = plan.steps[block.first].node
            let start = inputs.contains(block.value) ? "from the start" : "from step \(block.first) (\(node.title))"
            let until = block.last >= plan.steps.count ? "to the end" : "to step \(last)"
            let tip = "\(block.value): \(MarkupText.bytes(block.byteCount)), \(start) \(until)"
            lines.append(
                "<g><title>\(MarkupText.xml(tip))</title><rect x=\"\(number(Self.left + Double(block.first) * stepWidth))\" "
                    + "y=\"\(number(bottom - Double(block.offset + block.byteCount) * scale))\" "
                    + "width=\"\(number(max(Double(last - block.first + 1) * stepWidth, 0.3)))\" "
                    + "height=\"\(number(max(Double(block.byteCount) * scale, 0.3)))\" "
                    + "fill=\"\(Palette.light(node.identity.type))\" stroke=\"#555\" stroke-width=\"0.3\"/></g>")
        }
    }

    private func drawLive(_ live: [Int], into lines: inout [String]) {
        let bottom = Self.top + Self.arenaHeight + Self.gap + Self.liveHeight
        let most = max(live.max() ?? 0, 1)
        axis(bottom: bottom, height: Self.liveHeight, most: most, label: "in use", into: &lines)
        var points = ["\(number(Self.left)),\(number(bottom))"]
        for (step, bytes) in live.enumerated() {
            let y = number(bottom - Double(bytes) / Double(most) * Self.liveHeight)
            points.append("\(number(Self.left + Double(step) * stepWidth)),\(y)")
            points.append("\(number(Self.left + Double(step + 1) * stepWidth)),\(y)")
        }
        points.append("\(number(Self.left + Double(live.count) * stepWidth)),\(number(bottom))")
        lines.append("<polygon points=\"\(points.joined(separator: " "))\" fill=\"#9db8dd\" stroke=\"#1f5fbf\"/>")
        lines.append(
            "<text x=\"\(number(Self.width - Self.right))\" y=\"\(number(bottom + 16))\" text-anchor=\"end\">steps, 0 to "
                + "\(max(live.count - 1, 0))</text>")
    }

    private func axis(bottom: Double, height: Double, most: Int, label: String, into lines: inout [String]) {
        for share in [0.0, 0.25, 0.5, 0.75, 1] {
            let y = bottom - share * height
            lines.append(
                "<line x1=\"\(number(Self.left))\" y1=\"\(number(y))\" x2=\"\(number(Self.width - Self.right))\" "
                    + "y2=\"\(number(y))\" stroke=\"#ddd\"/><text x=\"\(number(Self.left - 6))\" y=\"\(number(y + 4))\" "
                    + "text-anchor=\"end\">\(MarkupText.bytes(Int(Double(most) * share)))</text>")
        }
        lines.append("<text x=\"\(number(Self.left))\" y=\"\(number(bottom - height - 6))\">\(label)</text>")
    }

    private func number(_ value: Double) -> String { MarkupText.number(value) }
}
