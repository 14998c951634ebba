/// A profile as a flame graph (Gregg, "The Flame Graph", 2016): the modules of the exported program, inner ones above outer ones, each
/// as wide as its time. Where runs are parts of a program's work, those of one name are the lowest frames, their numbers left out: one `U-Net` for
/// `U-Net step 1`, `U-Net step 2` and so on.
public struct FlameGraph: Sendable {
    private static let width = 1200.0
    private static let margin = 10.0
    private static let rowHeight = 18.0
    private static let top = 40.0
    /// Narrower frames are left out.
    private static let narrowest = 0.2
    private static let characterWidth = 6.6

    /// A module or node, with the time of all that is in it.
    fileprivate final class Frame {
        let name: String
        var nanoseconds = 0.0
        var calls = 0
        /// In the order in which they first ran.
        var children: [Frame] = []
        private var indices: [String: Int] = [:]

        init(_ name: String) { self.name = name }

        func child(_ name: String) -> Frame {
            if let index = indices[name] { return children[index] }
            indices[name] = children.count
            children.append(Frame(name))
            return children[children.count - 1]
        }

        var depth: Int { 1 + (children.map(\.depth).max() ?? 0) }
    }

    /// The picture as an SVG file, which needs no other.
    public let svg: String

    /// Adds up a profile's times by module.
    ///
    /// - Parameters:
    ///   - profile: the profile.
    ///   - title: the text above the drawing and on its lowest frame.
    public init(_ profile: Profile, title: String) {
        let root = Frame(title)
        let nodes = profile.nodes
        let parts = Self.partsOfRuns(profile)
        for span in profile.spans where nodes[span.node].depth == 0 {
            let node = nodes[span.node]
            var frame = root
            frame.add(span)
            for part in (parts.indices.contains(span.run) ? parts[span.run] : []) + node.path {
                frame = frame.child(part)
                frame.add(span)
            }
        }
        svg = Self.svg(of: root, title: title)
    }

    /// For each run of a graph the name of the part that it lies in, without a number at its end; empty for runs outside of parts.
    private static func partsOfRuns(_ profile: Profile) -> [[String]] {
        let parts = profile.sections.filter { $0.kind == .part }
        return profile.sections.filter { $0.kind == .run }
            .map { run in
                guard let part = parts.first(where: { $0.start <= run.start && run.end <= $0.end }) else { return [] }
                let words = part.name.split(separator: " ")
                let isNumbered = words.count > 2 && Int(words[words.count - 1]) != nil
                return [isNumbered ? words.dropLast(2).joined(separator: " ") : part.name]
            }
    }

    private static func svg(of root: Frame, title: String) -> String {
        let height = top + Double(root.depth) * rowHeight + margin
        var lines = [
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"\(Int(width))\" height=\"\(Int(height))\" "
                + "viewBox=\"0 0 \(Int(width)) \(Int(height))\" font-family=\"monospace\" font-size=\"11\">",
            "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>",
            "<text x=\"\(Int(margin))\" y=\"24\" font-size=\"14\">\(MarkupText.xml(title)): "
                + "\(MarkupText.milliseconds(root.nanoseconds)) in nodes</text>",
        ]
        let scale = (width - 2 * margin) / max(root.nanoseconds, 1)
        draw(root, of: root.nanoseconds, x: margin, y: height - margin - rowHeight, scale: scale, into: &lines)
        return (lines + ["</svg>", ""]).joined(separator: "\n")
    }

    /// - Parameter whole: nanoseconds of the lowest frame.
    private static func draw(
        _ frame: Frame, of whole: Double, x: Double, y: Double, scale: Double, into lines: inout [String]
    ) {
        let width = frame.nanoseconds * scale
        guard width >= narrowest else { return }
        let share = MarkupText.number(100 * frame.nanoseconds / max(whole, 1))
        let label = MarkupText.cut(frame.name, to: Int((width - 6) / characterWidth))
        let tip = "\(frame.name): \(MarkupText.milliseconds(frame.nanoseconds)), \(share) %, \(frame.calls) calls"
        lines.append(
            "<g><title>\(MarkupText.xml(tip))</title><rect x=\"\(MarkupText.number(x))\" y=\"\(MarkupText.number(y))\" "
                + "width=\"\(MarkupText.number(max(width - 0.5, 0.1)))\" height=\"\(MarkupText.number(rowHeight - 1))\" "
                + "rx=\"1\" fill=\"\(Palette.warm(frame.name))\"/>"
                + (label.isEmpty
                    ? ""
                    : "<text x=\"\(MarkupText.number(x + 3))\" y=\"\(MarkupText.number(y + 12.5))\">\(MarkupText.xml(label))</text>")
                + "</g>")
        var left = x
        for child in frame.children {
            draw(child, of: whole, x: left, y: y - rowHeight, scale: scale, into: &lines)
            left += child.nanoseconds * scale
        }
    }
}

extension FlameGraph.Frame {
    fileprivate func add(_ span: Profile.Span) {
        nanoseconds += Double(span.nanoseconds)
        calls += 1
    }
}

/// Colours that a name always gets.
enum Palette {
    /// Red to yellow.
    static func warm(_ name: String) -> String {
        let hash = hash(name)
        return "rgb(\(215 + hash % 40),\(110 + hash / 40 % 100),\(60 + hash / 4000 % 40))"
    }

    /// Any hue, light enough for black text.
    static func light(_ name: String) -> String { "hsl(\(hash(name) % 360),60%,78%)" }

    /// FNV-1a: the same in every process, unlike Swift's own.
    private static func hash(_ text: String) -> Int {
        var value: UInt32 = 2_166_136_261
        for byte in text.utf8 { value = (value ^ UInt32(byte)) &* 16_777_619 }
        return Int(value >> 4)
    }
}
