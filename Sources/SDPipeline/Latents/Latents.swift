/// Values in the space that diffusion works in, with their shape: [N, C, h, w], row-major. Of one picture, N is 1.
public struct Latents: Sendable, Equatable {
    /// Pictures, channels, rows, columns.
    public let shape: [Int]
    /// As many as ``shape`` says.
    public internal(set) var values: [Float]

    /// - Throws: ``PipelineError`` where there aren't four extents of 1 or more, or other values than they say.
    public init(_ values: [Float], shape: [Int]) throws(PipelineError) {
        guard shape.count == 4, shape.allSatisfy({ $0 > 0 }) else {
            throw PipelineError("Latents have the shape \(shape), expected [pictures, channels, height, width].")
        }
        var count = 1
        for extent in shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: extent)
            guard !overflow else { throw PipelineError("Latents have the shape \(shape), more than can be counted.") }
            count = product
        }
        guard count == values.count else {
            throw PipelineError("Latents have \(values.count) values, expected \(count) for shape \(shape).")
        }
        self.shape = shape
        self.values = values
    }

    /// Values of a shape that was checked.
    init(checked values: [Float], shape: [Int]) {
        self.shape = shape
        self.values = values
    }

    /// N.
    public var pictureCount: Int { shape[0] }
    /// C.
    public var channels: Int { shape[1] }
    /// h, a VAE's factor fewer than the picture's rows.
    public var height: Int { shape[2] }
    /// w, a VAE's factor fewer than the picture's columns.
    public var width: Int { shape[3] }

    /// Values of one picture.
    var pictureSize: Int { channels * height * width }

    /// The values of one picture, [C, h, w].
    func values(ofPicture index: Int) -> ArraySlice<Float> { values[index * pictureSize..<(index + 1) * pictureSize] }

    /// One picture, [1, C, h, w].
    func picture(_ index: Int) -> Latents {
        Latents(checked: Array(values(ofPicture: index)), shape: [1, channels, height, width])
    }

    /// The middle, of at most as many columns and rows; of an odd number that is left out, one more at the end.
    func cropped(width newWidth: Int, height newHeight: Int) -> Latents {
        guard (newWidth, newHeight) != (width, height) else { return self }
        let (left, top) = ((width - newWidth) / 2, (height - newHeight) / 2)
        var result: [Float] = []
        result.reserveCapacity(pictureCount * channels * newWidth * newHeight)
        for plane in 0..<pictureCount * channels {
            for row in top..<top + newHeight {
                let start = (plane * height + row) * width + left
                result += values[start..<start + newWidth]
            }
        }
        return Latents(checked: result, shape: [pictureCount, channels, newHeight, newWidth])
    }

    /// Other values of the same shape.
    func with(_ values: [Float]) -> Latents { Latents(checked: values, shape: shape) }

    /// Latents of as many pictures, the channels of the first before those of the second.
    static func joined(_ first: Latents, _ second: Latents) -> Latents {
        var values: [Float] = []
        values.reserveCapacity(first.values.count + second.values.count)
        for index in 0..<first.pictureCount {
            values += first.values(ofPicture: index)
            values += second.values(ofPicture: index)
        }
        return Latents(
            checked: values, shape: [first.pictureCount, first.channels + second.channels, first.height, first.width])
    }
}
