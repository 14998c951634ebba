import Foundation
import SDPipeline

/// A drawing of a run's noise levels: the logarithm of σ/α over the evaluations of the model.
struct NoisePlot {
    private static let width = 640
    private static let height = 400
    private static let margin = 48

    private let points: [(x: Double, y: Double)]
    private let ticks: [(value: Int, y: Double)]
    private let title: String

    init(levels: [NoiseLevel], title: String) {
        self.title = title
        let logs = levels.map { log10(Double($0.sigma) / Double($0.alpha)) }
        let finite = logs.filter(\.isFinite)
        let low = (finite.min() ?? -1).rounded(.down)
        let high = max((finite.max() ?? 1).rounded(.up), low + 1)
        let (left, right) = (Double(Self.margin), Double(Self.width - Self.margin))
        let (top, bottom) = (Double(Self.margin), Double(Self.height - Self.margin))
        func vertical(_ value: Double) -> Double { bottom - (min(max(value, low), high) - low) / (high - low) * (bottom - top) }
        let step = (right - left) / Double(max(logs.count - 1, 1))
        points = logs.enumerated().filter { !$0.element.isNaN }.map { (left + Double($0.offset) * step, vertical($0.element)) }
        ticks = (Int(low)...Int(high)).map { ($0, vertical(Double($0))) }
    }

    /// The drawing with axes and text.
    var svg: String {
        let (left, right) = (Self.margin, Self.width - Self.margin)
        let lines = ticks.map { tick in
            """
            <line x1="\(left)" y1="\(number(tick.y))" x2="\(right)" y2="\(number(tick.y))" stroke="#ccc"/>
            <text x="\(left - 6)" y="\(number(tick.y + 4))" text-anchor="end">1e\(tick.value)</text>
            """
        }
        let path = points.map { "\(number($0.x)),\(number($0.y))" }.joined(separator: " ")
        let dots = points.map { "<circle cx=\"\(number($0.x))\" cy=\"\(number($0.y))\" r=\"3\" fill=\"#1f5fbf\"/>" }
        return """
            <svg xmlns="http://www.w3.org/2000/svg" width="\(Self.width)" height="\(Self.height)" \
            font-family="sans-serif" font-size="12">
            <rect width="100%" height="100%" fill="white"/>
            <text x="\(left)" y="24" font-size="14">\(escaped(title))</text>
            \(lines.joined(separator: "\n"))
            <polyline points="\(path)" fill="none" stroke="#1f5fbf" stroke-width="1.5"/>
            \(dots.joined(separator: "\n"))
            <text x="\(right)" y="\(Self.height - 14)" text-anchor="end">evaluations, noise level sigma/alpha</text>
            </svg>

            """
    }

    /// The drawing without text.
    func png() throws -> [UInt8] {
        var canvas = Canvas(width: Self.width, height: Self.height)
        for tick in ticks {
            canvas.line(
                from: (Double(Self.margin), tick.y), to: (Double(Self.width - Self.margin), tick.y), color: (204, 204, 204))
        }
        for (start, end) in zip(points, points.dropFirst()) { canvas.line(from: start, to: end, color: (31, 95, 191)) }
        for point in points { canvas.square(at: point, radius: 2, color: (31, 95, 191)) }
        return try PNGFile.encode(canvas.image(), text: [PNGText(key: "Title", text: title)])
    }

    private func number(_ value: Double) -> String { String(format: "%.1f", value) }

    private func escaped(_ text: String) -> String {
        text.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;")
    }
}

/// A white picture to draw on.
struct Canvas {
    typealias Color = (red: UInt8, green: UInt8, blue: UInt8)

    let width: Int
    let height: Int
    private var pixels: [UInt8]

    init(width: Int, height: Int) {
        self.width = width
        self.height = height
        pixels = [UInt8](repeating: 255, count: 3 * width * height)
    }

    func image() throws -> RGBImage { try RGBImage(width: width, height: height, pixels: pixels) }

    /// Sets a pixel; one outside is left out.
    mutating func set(_ x: Int, _ y: Int, _ color: Color) {
        guard (0..<width).contains(x), (0..<height).contains(y) else { return }
        let start = 3 * (y * width + x)
        (pixels[start], pixels[start + 1], pixels[start + 2]) = (color.red, color.green, color.blue)
    }

    mutating func line(from start: (x: Double, y: Double), to end: (x: Double, y: Double), color: Color) {
        let count = Int(max(abs(end.x - start.x), abs(end.y - start.y)).rounded(.up))
        for step in 0...max(count, 1) {
            let share = Double(step) / Double(max(count, 1))
            set(
                Int((start.x + (end.x - start.x) * share).rounded()), Int((start.y + (end.y - start.y) * share).rounded()),
                color)
        }
    }

    mutating func square(at center: (x: Double, y: Double), radius: Int, color: Color) {
        for dy in -radius...radius {
            for dx in -radius...radius { set(Int(center.x.rounded()) + dx, Int(center.y.rounded()) + dy, color) }
        }
    }

    /// Copies a picture to a place, cut off at the edges.
    mutating func place(_ image: RGBImage, x: Int, y: Int) {
        for row in 0..<image.height {
            for column in 0..<image.width {
                let start = 3 * (row * image.width + column)
                set(x + column, y + row, (image.pixels[start], image.pixels[start + 1], image.pixels[start + 2]))
            }
        }
    }
}
