import GraphRuntime

/// Operators on pictures' files.
enum PictureFamily {
    static let definitions = [ImageDecoder.definition]
}

/// ImageDecoder-20: the pixels of a PNG or a JPEG, [H, W, channels] of uint8, or [0, 0, channels] where the file is damaged.
///
/// As the standard's own cases have them: a transparent PNG loses its transparency, and a JPEG isn't turned as its EXIF says.
struct ImageDecoder: Operator {
    enum PixelFormat: String, Sendable { case rgb = "RGB", bgr = "BGR", gray = "Grayscale" }

    let format: PixelFormat

    private var channels: Int { format == .gray ? 1 : 3 }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let x = try inputs[0]
        if let dtype = x.dtype, dtype != .uint8 { throw TensorError("expected the bytes of a file as uint8, found \(dtype)") }
        if let shape = x.shape, shape.rank != 1 { throw TensorError("expected the bytes of a file, found shape \(shape)") }
        return [Fact(dtype: .uint8)]
    }

    func run(_ context: inout RunContext) throws {
        let bytes = try context.input(0).array(of: UInt8.self)
        guard let pixels = try PictureDecoding.pixels(bytes) else {
            return context.setOutput(0, .tensor(try Tensor([UInt8](), shape: Shape([0, 0, channels]))))
        }
        let (height, width, stored) = (pixels.shape[0], pixels.shape[1], pixels.shape[2])
        let source = try pixels.view(of: UInt8.self)
        let result = try MutableTensor(dtype: .uint8, shape: Shape([height, width, channels]))
        try result.withMutableSpan(of: UInt8.self) { y in
            for pixel in 0..<height * width {
                let (red, green, blue) = (source[pixel * stored], source[pixel * stored + 1], source[pixel * stored + 2])
                switch format {
                case .rgb: (y[3 * pixel], y[3 * pixel + 1], y[3 * pixel + 2]) = (red, green, blue)
                case .bgr: (y[3 * pixel], y[3 * pixel + 1], y[3 * pixel + 2]) = (blue, green, red)
                case .gray: y[pixel] = Self.luma(red, green, blue)
                }
            }
        }
        context.setOutput(0, .tensor(try result.finish()))
    }

    /// ITU-R BT.601, in 16 bits of fraction, as Pillow rounds it.
    private static func luma(_ red: UInt8, _ green: UInt8, _ blue: UInt8) -> UInt8 {
        var sum: UInt32 = 0x8000
        sum += 19595 * UInt32(red)
        sum += 38470 * UInt32(green)
        sum += 7471 * UInt32(blue)
        return UInt8(sum >> 16)
    }

    static let definition = OperatorDefinition("ImageDecoder", since: 20) { decoder in
        try decoder.requireInputs(1...1)
        let name = try decoder.string("pixel_format", default: "RGB")
        guard let format = PixelFormat(rawValue: name) else {
            throw TensorError("attribute pixel_format should be RGB, BGR or Grayscale, found \"\(name)\"")
        }
        return ImageDecoder(format: format)
    }
}
