/// Colours with opacity in bytes, in the arithmetic of Pillow's `paste`, `alpha_composite` and conversions between `RGBa`, whose colours
/// are multiplied by the opacity, and `RGBA`.
enum AlphaArithmetic {
    /// Binary places beyond bytes in ``composited(_:_:over:_:)``.
    private static let places = 7

    /// Red, green, blue and opacity.
    typealias Pixel = (red: UInt8, green: UInt8, blue: UInt8, opacity: UInt8)

    /// a · b / 255, rounded.
    static func product(_ a: UInt8, _ b: UInt8) -> UInt8 {
        UInt8(truncatingIfNeeded: dividedBy255(Int(a) * Int(b) + 128))
    }

    /// A colour from one that is multiplied by its opacity.
    static func unmultiplied(_ value: UInt8, opacity: UInt8) -> UInt8 {
        opacity == 0 || opacity == 255 ? value : UInt8(clamping: 255 * Int(value) / Int(opacity))
    }

    /// A pixel laid over another.
    static func composited(_ upper: Pixel, over lower: Pixel) -> Pixel {
        if upper.opacity == 0 { return lower }
        let opacity = Int(upper.opacity) * 255 + Int(lower.opacity) * (255 - Int(upper.opacity))
        let upperShare = (Int(upper.opacity) * 255 * 255 << places) / opacity
        let lowerShare = (255 << places) - upperShare
        func mixed(_ upper: UInt8, _ lower: UInt8) -> UInt8 {
            let sum = Int(upper) * upperShare + Int(lower) * lowerShare
            return UInt8(truncatingIfNeeded: dividedBy255(sum + (128 << places)) >> places)
        }
        return (
            mixed(upper.red, lower.red), mixed(upper.green, lower.green), mixed(upper.blue, lower.blue),
            UInt8(truncatingIfNeeded: dividedBy255(opacity + 128))
        )
    }

    /// Near enough for bytes, once a half was added.
    private static func dividedBy255(_ value: Int) -> Int { ((value >> 8) + value) >> 8 }
}

extension Raster {
    /// A picture and, as its opacity, what a mask leaves; the colours are multiplied by it.
    ///
    /// - Parameter mask: of the picture's size.
    static func visible(_ image: RGBImage, outside mask: PictureMask) throws -> Raster {
        var result = try Raster(width: image.width, height: image.height, channels: 4, filledWith: 0)
        for position in mask.values.indices {
            let opacity = 255 - mask.values[position]
            for channel in 0..<3 {
                result.values[4 * position + channel] = AlphaArithmetic.product(image.pixels[3 * position + channel], opacity)
            }
            result.values[4 * position + 3] = opacity
        }
        return result
    }

    /// A pixel of a raster of four channels, from colours that are multiplied by their opacity to colours that aren't.
    func unmultipliedPixel(_ position: Int) -> AlphaArithmetic.Pixel {
        let opacity = values[4 * position + 3]
        func value(_ channel: Int) -> UInt8 {
            AlphaArithmetic.unmultiplied(values[4 * position + channel], opacity: opacity)
        }
        return (value(0), value(1), value(2), opacity)
    }
}
