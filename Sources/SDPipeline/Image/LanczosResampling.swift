import Foundation

/// Resizing by Lanczos' filter of three lobes, as Pillow does it (`Image.resize` with `LANCZOS`, 8 bits a channel), which diffusers'
/// `VaeImageProcessor` uses: first rows, then columns (from version 13 on Pillow chooses the order by the sizes), with weights of 22 binary places and values rounded to bytes between.
///
/// Where a picture becomes smaller the filter grows with it, so that each pixel is a mean of what it covers.
struct LanczosResampling {
    private static let lobes = 3.0
    private static let weightBits = 22

    /// What one pixel of a line is made of.
    private struct Window {
        let start: Int
        /// Times 2²².
        let weights: [Int]
    }

    /// - Parameters:
    ///   - width: of the result, at least 1.
    ///   - height: of the result, at least 1.
    /// - Throws: ``ImageError``: `.wrongSize` or `.notEnoughMemory`.
    static func resized(_ raster: Raster, width: Int, height: Int) throws -> Raster {
        guard width > 0, height > 0 else { throw ImageError.wrongSize("a picture can't become \(width)x\(height)") }
        if (width, height) == (raster.width, raster.height) { return raster }
        try LargeArray.ask(bytes: raster.channels * width * (height + raster.height))
        let wide = width == raster.width ? raster.values : resizedRows(raster, width: width)
        let values =
            height == raster.height
            ? wide : resizedColumns(wide, rowSize: raster.channels * width, from: raster.height, to: height)
        return Raster(width: width, height: height, channels: raster.channels, values: values)
    }

    private static func resizedRows(_ raster: Raster, width: Int) -> [UInt8] {
        let windows = windows(from: raster.width, to: width)
        let (source, channels) = (raster.values, raster.channels)
        var result = [UInt8](repeating: 0, count: channels * width * raster.height)
        for row in 0..<raster.height {
            for (column, window) in windows.enumerated() {
                for channel in 0..<channels {
                    var sum = 1 << (weightBits - 1)
                    var position = channels * (row * raster.width + window.start) + channel
                    for weight in window.weights {
                        sum += weight * Int(source[position])
                        position += channels
                    }
                    result[channels * (row * width + column) + channel] = byte(sum)
                }
            }
        }
        return result
    }

    private static func resizedColumns(_ source: [UInt8], rowSize: Int, from oldHeight: Int, to height: Int) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: rowSize * height)
        for (row, window) in windows(from: oldHeight, to: height).enumerated() {
            for column in 0..<rowSize {
                var sum = 1 << (weightBits - 1)
                var position = window.start * rowSize + column
                for weight in window.weights {
                    sum += weight * Int(source[position])
                    position += rowSize
                }
                result[row * rowSize + column] = byte(sum)
            }
        }
        return result
    }

    private static func byte(_ sum: Int) -> UInt8 { UInt8(clamping: sum >> weightBits) }

    private static func windows(from count: Int, to newCount: Int) -> [Window] {
        let scale = Double(count) / Double(newCount)
        let stretch = max(scale, 1)
        let support = lobes * stretch
        return (0..<newCount).map { index in
            let center = (Double(index) + 0.5) * scale
            let start = max(Int(center - support + 0.5), 0)
            let end = min(Int(center + support + 0.5), count)
            let values = (start..<end).map { filter((Double($0) - center + 0.5) * (1 / stretch)) }
            let sum = values.reduce(0, +)
            return Window(
                start: start,
                weights: values.map { value in
                    let scaled = (sum == 0 ? value : value / sum) * Double(1 << weightBits)
                    return Int(scaled + (scaled < 0 ? -0.5 : 0.5))
                })
        }
    }

    private static func filter(_ x: Double) -> Double {
        x >= -lobes && x < lobes ? sinc(x) * sinc(x / lobes) : 0
    }

    private static func sinc(_ x: Double) -> Double {
        if x == 0 { return 1 }
        let angle = x * Double.pi
        return sin(angle) / angle
    }
}
