import Foundation
import SDPipeline

/// A drawing of a run's noise levels: the logarithm of σ/α over the evaluations of the model.
struct NoisePlot {
    private static let width = 640
    private static let height = 400
    private static let margin = 56
    private static let lineColor: Canvas.Color = (204, 204, 204)
    private static let curveColor: Canvas.Color = (31, 95, 191)

    private enum Anchor: String { case start, middle, end }

    /// A line of text, `x` at its anchor and `y` at its foot.
    private struct Label {
        let text: String
        let x: Double
        let y: Double
        let anchor: Anchor
    }

    private let points: [(x: Double, y: Double)]
    /// Heights of the lines behind the curve.
    private let lines: [Double]
    private let labels: [Label]
    private let title: String

    /// - Parameters:
    ///   - levels: of each evaluation.
    ///   - timesteps: as many.
    init(levels: [NoiseLevel], timesteps: [Float], title: String) {
        self.title = title
        let logs = levels.map { log10(Double($0.sigma) / Double($0.alpha)) }
        let finite = logs.filter(\.isFinite)
        let low = (finite.min() ?? -1).rounded(.down)
        let high = max((finite.max() ?? 1).rounded(.up), low + 1)
        let (left, right) = (Double(Self.margin), Double(Self.width - 24))
        let (top, bottom) = (Double(Self.margin), Double(Self.height - Self.margin))
        func vertical(_ value: Double) -> Double { bottom - (min(max(value, low), high) - low) / (high - low) * (bottom - top) }
        let step = (right - left) / Double(max(logs.count - 1, 1))
        func horizontal(_ index: Int) -> Double { left + Double(index) * step }
        points = logs.enumerated().filter { !$0.element.isNaN }.map { (horizontal($0.offset), vertical($0.element)) }
        let powers = Int(low)...Int(high)
        lines = powers.map { vertical(Double($0)) }
        // At most eight timesteps, the first and the last among them.
        let shown = Set((0..<8).map { $0 * (timesteps.count - 1) / 7 }).filter(timesteps.indices.contains)
        labels =
            [
                Label(text: title, x: left, y: 22, anchor: .start),
                Label(text: "noise level sigma/alpha", x: left, y: top - 10, anchor: .start),
                Label(text: "timestep of each evaluation", x: right, y: bottom + 42, anchor: .end),
            ] + powers.map { Label(text: "1e\($0)", x: left - 8, y: vertical(Double($0)) + 4, anchor: .end) }
            + shown.sorted().map { index in
                let anchor: Anchor = index > 0 && index == timesteps.count - 1 ? .end : .middle
                return Label(
                    text: String(format: "%.4g", timesteps[index]), x: horizontal(index), y: bottom + 22, anchor: anchor)
            }
    }

    var svg: String {
        let grid = lines.map { height in
            #"<line x1="\#(Self.margin)" y1="\#(number(height))" x2="\#(Self.width - 24)" y2="\#(number(height))" "#
                + #"stroke="\#(hexadecimal(Self.lineColor))"/>"#
        }
        let curve = hexadecimal(Self.curveColor)
        let path = points.map { "\(number($0.x)),\(number($0.y))" }.joined(separator: " ")
        let dots = points.map { "<circle cx=\"\(number($0.x))\" cy=\"\(number($0.y))\" r=\"3\" fill=\"\(curve)\"/>" }
        let texts = labels.map { label in
            #"<text x="\#(number(label.x))" y="\#(number(label.y))" text-anchor="\#(label.anchor.rawValue)">"#
                + "\(escaped(label.text))</text>"
        }
        return """
            <svg xmlns="http://www.w3.org/2000/svg" width="\(Self.width)" height="\(Self.height)" \
            font-family="sans-serif" font-size="12">
            <rect width="100%" height="100%" fill="white"/>
            \(grid.joined(separator: "\n"))
            <polyline points="\(path)" fill="none" stroke="\(curve)" stroke-width="1.5"/>
            \((dots + texts).joined(separator: "\n"))
            </svg>

            """
    }

    func png() throws -> [UInt8] {
        var canvas = try Canvas(width: Self.width, height: Self.height)
        for height in lines {
            canvas.line(from: (Double(Self.margin), height), to: (Double(Self.width - 24), height), color: Self.lineColor)
        }
        for (start, end) in zip(points, points.dropFirst()) { canvas.line(from: start, to: end, color: Self.curveColor) }
        for point in points { canvas.square(at: point, radius: 2, color: Self.curveColor) }
        for label in labels {
            let width = PixelFont.width(label.text)
            let left =
                switch label.anchor {
                case .start: Int(label.x)
                case .middle: Int(label.x) - width / 2
                case .end: Int(label.x) - width
                }
            PixelFont.draw(label.text, x: left, y: Int(label.y) - PixelFont.height, on: &canvas)
        }
        return try PNGFile.encode(canvas.image(), text: [PNGText(key: "Title", text: title)])
    }

    private func number(_ value: Double) -> String { String(format: "%.1f", value) }

    private func hexadecimal(_ color: Canvas.Color) -> String {
        String(format: "#%02x%02x%02x", Int(color.red), Int(color.green), Int(color.blue))
    }

    private func escaped(_ text: String) -> String {
        text.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;")
    }
}
