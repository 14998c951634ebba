/// Luminance and colour differences (ITU-R BT.601, all of a byte's range) in six binary places: Pillow's values, of the differences but for one in
/// some hundreds, which is off by 1.
extension Raster {
    private static let places = 6
    /// What is added before places are left out, which makes the results Pillow's.
    private static let (forwardRounding, backwardRounding) = (2, 1)

    /// Of each value of a byte, less 128 where it is a difference of colours, its part of a channel.
    private static func table(_ factor: Double, centred: Bool = false) -> [Int] {
        (0..<256).map {
            Int((Double($0 - (centred ? 128 : 0)) * factor * Double(1 << places)).rounded(.toNearestOrAwayFromZero))
        }
    }

    /// The luminance of red, green and blue, as one channel.
    var luminance: Raster {
        get throws {
            let all = converted(toYCbCr: true)
            return Raster(
                width: width, height: height, channels: 1,
                values: stride(from: 0, to: all.values.count, by: 3).map { all.values[$0] })
        }
    }

    /// The same differences of colours, with another luminance of the same size.
    func with(luminance: Raster) -> Raster {
        var result = self
        for (index, value) in luminance.values.enumerated() { result.values[3 * index] = value }
        return result
    }

    /// Red, green and blue as luminance, blue's and red's difference; or the other way.
    func converted(toYCbCr isForward: Bool) -> Raster {
        func parts(_ factors: [Double], centred: Bool) -> [[Int]] { factors.map { Self.table($0, centred: centred) } }
        var result = self
        let shift = Self.places
        if isForward {
            let rows = [
                parts([0.299, 0.587, 0.114], centred: false), parts([-0.168736, -0.331264, 0.5], centred: false),
                parts([0.5, -0.418688, -0.081312], centred: false),
            ]
            for start in stride(from: 0, to: values.count, by: 3) {
                let (red, green, blue) = (Int(values[start]), Int(values[start + 1]), Int(values[start + 2]))
                for (channel, row) in rows.enumerated() {
                    let rounding = channel == 0 ? 0 : Self.forwardRounding
                    let sum = (row[0][red] + row[1][green] + row[2][blue] + rounding) >> shift
                    result.values[start + channel] = UInt8(clamping: sum + (channel == 0 ? 0 : 128))
                }
            }
        } else {
            let (redness, blueness) = (parts([1.402, -0.714136], centred: true), parts([-0.344136, 1.772], centred: true))
            for start in stride(from: 0, to: values.count, by: 3) {
                let (luminance, blue, red) = (Int(values[start]), Int(values[start + 1]), Int(values[start + 2]))
                result.values[start] = UInt8(clamping: luminance + (redness[0][red] + Self.backwardRounding) >> shift)
                result.values[start + 1] = UInt8(
                    clamping: luminance + (blueness[0][blue] + redness[1][red] + Self.backwardRounding) >> shift)
                result.values[start + 2] = UInt8(clamping: luminance + blueness[1][blue] >> shift)
            }
        }
        return result
    }
}
