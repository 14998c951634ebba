import ONNXLoader
import SDPipeline

/// A white picture to draw on.
struct Canvas {
    typealias Color = (red: UInt8, green: UInt8, blue: UInt8)

    let width: Int
    let height: Int
    private var pixels: [UInt8]

    /// - Throws: `ImageError` where the system doesn't give the memory.
    init(width: Int, height: Int) throws {
        self.width = width
        self.height = height
        try LargeArray.ask(bytes: 3 * width * height)
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
