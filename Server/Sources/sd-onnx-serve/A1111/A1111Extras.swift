import Foundation
import SDPipeline

/// A picture made larger, without a model.
struct A1111Extras {
    private enum Upscaler: String, CaseIterable {
        case none = "None"
        case lanczos = "Lanczos"
        case nearest = "Nearest"
    }

    private enum Size {
        case factor(Double)
        case pixels(width: Int, height: Int, crops: Bool)
    }

    private let upscaler: Upscaler
    private let size: Size
    private let limits: ServerLimits

    init(_ fields: RequestFields, limits: ServerLimits) throws {
        self.limits = limits
        for name in ["gfpgan_visibility", "codeformer_visibility", "extras_upscaler_2_visibility"] {
            guard try fields.number(name, in: 0...1) ?? 0 == 0 else {
                throw APIError.invalid(name, "\(name) isn't supported by this server.")
            }
        }
        let name = try fields.text("upscaler_1") ?? "None"
        guard let upscaler = Upscaler.allCases.first(where: { $0.rawValue.lowercased() == name.lowercased() }) else {
            throw APIError.invalid("upscaler_1", "upscaler_1 is \"\(name.prefix(60))\", expected None, Lanczos or Nearest.")
        }
        self.upscaler = upscaler
        if try fields.integer("resize_mode", in: 0...1) ?? 0 == 0 {
            size = .factor(try fields.number("upscaling_resize", in: 0.01...8) ?? 2)
        } else {
            size = .pixels(
                width: try fields.integer("upscaling_resize_w", in: 1...PictureSizes.largest) ?? 512,
                height: try fields.integer("upscaling_resize_h", in: 1...PictureSizes.largest) ?? 512,
                crops: try fields.flag("upscaling_crop") ?? true)
        }
    }

    func image(_ picture: RGBImage) throws -> RGBImage {
        switch size {
        case .factor(let factor):
            return try scaled(
                picture, width: max(Int(Double(picture.width) * factor), 1),
                height: max(Int(Double(picture.height) * factor), 1))
        case .pixels(let width, let height, let crops):
            let factor = max(Double(width) / Double(picture.width), Double(height) / Double(picture.height))
            let (wide, high) = (
                max(Int((Double(picture.width) * factor).rounded()), 1),
                max(Int((Double(picture.height) * factor).rounded()), 1)
            )
            let large = try scaled(picture, width: wide, height: high)
            return crops ? try large.resized(width: width, height: height, mode: .fill) : large
        }
    }

    private func scaled(_ picture: RGBImage, width: Int, height: Int) throws -> RGBImage {
        guard width.multipliedReportingOverflow(by: height).overflow == false, width * height <= limits.inputPixels else {
            throw APIError.invalid(
                "upscaling_resize", "The picture would have \(width)×\(height) pixels, at most \(limits.inputPixels) are made.")
        }
        guard upscaler == .nearest else { return try picture.resized(width: width, height: height) }
        var pixels = [UInt8](repeating: 0, count: 3 * width * height)
        let source = picture.pixels
        for row in 0..<height {
            let sourceRow = min(row * picture.height / height, picture.height - 1)
            for column in 0..<width {
                let from = 3 * (sourceRow * picture.width + min(column * picture.width / width, picture.width - 1))
                let to = 3 * (row * width + column)
                for channel in 0..<3 { pixels[to + channel] = source[from + channel] }
            }
        }
        return try RGBImage(width: width, height: height, pixels: pixels)
    }
}
