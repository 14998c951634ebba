import Foundation
import ONNXLoader

/// Resizing as Pillow does it (`Image.resize`, 8 bits a channel), which diffusers' `VaeImageProcessor` and transformers' image processors use:
/// first rows, then columns (from version 13 on Pillow chooses the order by the sizes), with weights of 22 binary places and values rounded to
/// bytes between.
///
/// Where a picture becomes smaller the filter grows with it, so that each pixel is a mean of what it covers.
struct Resampling {
    /// How the weight of a pixel falls with its distance; the numbers are Pillow's.
    enum Filter: Int, CaseIterable {
        /// The sinc function, windowed by its own middle lobe, of three lobes.
        case lanczos = 1
        /// A triangle.
        case bilinear = 2
        /// Keys' cubic convolution with a = −0.5.
        case bicubic = 3
        /// The mean of what a pixel covers.
        case box = 4
        /// The sinc function of one lobe, in a Hamming window.
        case hamming = 5
    }

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
    ///   - filter: Lanczos' where none is named.
    /// - Throws: ``ImageError``: `.wrongSize` or `.notEnoughMemory`.
    static func resized(_ raster: Raster, width: Int, height: Int, filter: Filter = .lanczos) throws -> Raster {
        guard width > 0, height > 0 else { throw ImageError.wrongSize("a picture can't become \(width)x\(height)") }
        if (width, height) == (raster.width, raster.height) { return raster }
        try LargeArray.ask(bytes: raster.channels * width * (height + raster.height))
        let wide = width == raster.width ? raster.values : resizedRows(raster, width: width, filter)
        let values =
            height == raster.height
            ? wide : resizedColumns(wide, rowSize: raster.channels * width, from: raster.height, to: height, filter)
        return Raster(width: width, height: height, channels: raster.channels, values: values)
    }

    private static func resizedRows(_ raster: Raster, width: Int, _ filter: Filter) -> [UInt8] {
        let windows = windows(from: raster.width, to: width, filter)
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

    private static func resizedColumns(
        _ source: [UInt8], rowSize: Int, from oldHeight: Int, to height: Int, _ filter: Filter
    ) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: rowSize * height)
        for (row, window) in windows(from: oldHeight, to: height, filter).enumerated() {
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

    private static func windows(from count: Int, to newCount: Int, _ filter: Filter) -> [Window] {
        let scale = Double(count) / Double(newCount)
        let stretch = max(scale, 1)
        let support = filter.support * stretch
        return (0..<newCount).map { index in
            let center = (Double(index) + 0.5) * scale
            let start = max(Int(center - support + 0.5), 0)
            let end = min(Int(center + support + 0.5), count)
            let values = (start..<end).map { filter.weight((Double($0) - center + 0.5) * (1 / stretch)) }
            let sum = values.reduce(0, +)
            return Window(
                start: start,
                weights: values.map { value in
                    let scaled = (sum == 0 ? value : value / sum) * Double(1 << weightBits)
                    return Int(scaled + (scaled < 0 ? -0.5 : 0.5))
                })
        }
    }
}

extension Resampling.Filter {
    /// How far the filter reaches to each side, in pixels.
    fileprivate var support: Double {
        switch self {
        case .lanczos: 3
        case .bilinear, .hamming: 1
        case .bicubic: 2
        case .box: 0.5
        }
    }

    /// - Parameter x: the distance in pixels.
    fileprivate func weight(_ x: Double) -> Double {
        let distance = abs(x)
        switch self {
        case .lanczos: return x >= -support && x < support ? sinc(x) * sinc(x / support) : 0
        case .bilinear: return max(1 - distance, 0)
        case .bicubic:
            let a = -0.5
            if distance < 1 { return ((a + 2) * distance - (a + 3)) * distance * distance + 1 }
            return distance < 2 ? (((distance - 5) * distance + 8) * distance - 4) * a : 0
        case .box: return x > -support && x <= support ? 1 : 0
        case .hamming: return distance >= 1 ? 0 : sinc(distance) * (0.54 + 0.46 * cos(distance * Double.pi))
        }
    }

    private func sinc(_ x: Double) -> Double {
        if x == 0 { return 1 }
        let angle = x * Double.pi
        return sin(angle) / angle
    }
}
