import ONNXLoader

/// Edges in pictures (Canny, "A Computational Approach to Edge Detection", 1986), as OpenCV's `Canny` finds them: Sobel's gradients of 3×3 pixels,
/// edges continued beyond the picture by its outermost pixels; of the colours' gradients the largest; |dx| + |dy| for their length; and
/// directions told apart by tan(22.5°) in fixed point.
enum CannyEdges {
    /// tan(22.5°) times 2¹⁵, and the tangent's 15 binary places.
    private static let tangent = 13573
    private static let tangentBits = 15

    /// White for edges, black for all else.
    ///
    /// - Parameters:
    ///   - low: the gradient above which an edge goes on, 0 to ``high``; its whole part counts.
    ///   - high: the gradient above which an edge begins.
    /// - Throws: ``ImageError/notEnoughMemory(bytes:)``.
    static func image(of image: RGBImage, low: Double, high: Double) throws -> RGBImage {
        try LargeArray.ask(bytes: 12 * image.width * image.height)
        let gradients = Gradients(image)
        // More than any gradient can be: 2 · 4 · 255.
        let limit = 4096.0
        let marks = marks(gradients, low: Int32(min(low, limit)), high: Int32(min(high, limit)))
        return try RGBImage(
            width: image.width, height: image.height,
            pixels: marks.flatMap { mark -> [UInt8] in
                let value: UInt8 = mark == .edge ? 255 : 0
                return [value, value, value]
            })
    }

    private enum Mark: UInt8 {
        case none, weak, edge
    }

    /// The largest gradients among the colours.
    private struct Gradients {
        let width: Int
        let height: Int
        private(set) var dx: [Int16]
        private(set) var dy: [Int16]

        init(_ image: RGBImage) {
            (width, height) = (image.width, image.height)
            dx = [Int16](repeating: 0, count: width * height)
            dy = dx
            let bytes = image.pixels
            for row in 0..<height {
                let rows = [max(row - 1, 0), row, min(row + 1, height - 1)].map { $0 * width }
                for column in 0..<width {
                    let (left, right) = (max(column - 1, 0), min(column + 1, width - 1))
                    var best = -1
                    for channel in 0..<3 {
                        func pixel(_ row: Int, _ column: Int) -> Int { Int(bytes[3 * (rows[row] + column) + channel]) }
                        let x =
                            pixel(0, right) - pixel(0, left) + 2 * (pixel(1, right) - pixel(1, left)) + pixel(2, right)
                            - pixel(2, left)
                        let y =
                            pixel(2, left) - pixel(0, left) + 2 * (pixel(2, column) - pixel(0, column)) + pixel(2, right)
                            - pixel(0, right)
                        guard abs(x) + abs(y) > best else { continue }
                        best = abs(x) + abs(y)
                        dx[row * width + column] = Int16(x)
                        dy[row * width + column] = Int16(y)
                    }
                }
            }
        }

        /// 0 outside of the picture.
        func length(_ row: Int, _ column: Int) -> Int32 {
            guard row >= 0, row < height, column >= 0, column < width else { return 0 }
            let index = row * width + column
            return Int32(abs(Int(dx[index])) + abs(Int(dy[index])))
        }
    }

    /// Ridges of the gradient, and of the weak ones those that strong ones lead to.
    private static func marks(_ gradients: Gradients, low: Int32, high: Int32) -> [Mark] {
        let (width, height) = (gradients.width, gradients.height)
        var marks = [Mark](repeating: .none, count: width * height)
        var open: [Int] = []
        for row in 0..<height {
            for column in 0..<width {
                let length = gradients.length(row, column)
                guard length > low, isRidge(gradients, row, column, length) else { continue }
                marks[row * width + column] = length > high ? .edge : .weak
                if length > high { open.append(row * width + column) }
            }
        }
        while let index = open.popLast() {
            let (row, column) = (index / width, index % width)
            for nextRow in max(row - 1, 0)...min(row + 1, height - 1) {
                for nextColumn in max(column - 1, 0)...min(column + 1, width - 1) {
                    let next = nextRow * width + nextColumn
                    guard marks[next] == .weak else { continue }
                    marks[next] = .edge
                    open.append(next)
                }
            }
        }
        return marks
    }

    /// Whether a gradient is the longest across the edge.
    private static func isRidge(_ gradients: Gradients, _ row: Int, _ column: Int, _ length: Int32) -> Bool {
        let index = row * gradients.width + column
        let (dx, dy) = (Int(gradients.dx[index]), Int(gradients.dy[index]))
        let (x, y) = (abs(dx), abs(dy) << tangentBits)
        let small = x * tangent
        if y < small {
            return length > gradients.length(row, column - 1) && length >= gradients.length(row, column + 1)
        }
        // tan(67.5°) = tan(22.5°) + 2
        if y > small + (x << (tangentBits + 1)) {
            return length > gradients.length(row - 1, column) && length >= gradients.length(row + 1, column)
        }
        let side = (dx ^ dy) < 0 ? -1 : 1
        return length > gradients.length(row - 1, column - side) && length > gradients.length(row + 1, column + side)
    }
}
