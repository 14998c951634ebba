import Foundation

import SDPipeline

/// What Tests/References/masks.py made with Pillow, diffusers and torch.
struct MaskReferences: Decodable {
    struct Picture: Decodable {
        let width: Int
        let height: Int
        let pixels: Hex

        func image() throws -> RGBImage { try RGBImage(width: width, height: height, pixels: pixels.bytes) }
    }

    struct Resized: Decodable {
        let width: Int
        let height: Int
        let pixels: Hex
        let mode: String
        /// Width and height.
        let to: [Int]
        let resized: Hex
        let gray: Hex
        let grayResized: Hex
    }

    struct Mask: Decodable {
        let file: Hex
        let width: Int
        let height: Int
        let mask: Hex
    }

    struct Blurred: Decodable {
        let width: Int
        let height: Int
        let channels: Int
        let pixels: Hex
        let radii: [Double]
        let blurred: [Hex]
    }

    struct Region: Decodable {
        let width: Int
        let height: Int
        let box: [Int]
        /// Width and height.
        let size: [Int]
        let padding: Int
        let region: [Int]
    }

    struct Inpainting: Decodable {
        let width: Int
        let height: Int
        let pixels: Hex
        let mask: Hex
        /// Zeros and ones.
        let binary: Hex
        let masked: Hex
        /// Height and width.
        let latentSizes: [[Int]]
        let latents: [Hex]
    }

    struct Pasted: Decodable {
        let width: Int
        let height: Int
        let pixels: Hex
        let mask: Hex
        let made: Picture
        let region: [Int]?
        let result: Hex
    }

    struct Filled: Decodable {
        let width: Int
        let height: Int
        let pixels: Hex
        let mask: Hex
        let filled: Hex
    }

    struct Outpainted: Decodable {
        let width: Int
        let height: Int
        let pixels: Hex
        /// Left, top, right, bottom.
        let sides: [Int]
        let mask: Hex
        let result: Picture
        let new: Hex
        let both: Hex
    }

    let resized: [Resized]
    let masks: [String: Mask]
    let blurred: [Blurred]
    let regions: [Region]
    let inpainting: [Inpainting]
    let pasted: [Pasted]
    let filled: [Filled]
    let outpainted: [Outpainted]

    static let all: Result<MaskReferences, any Error> = Result { try References.load("masks.json") }

    static func load() throws -> MaskReferences { try all.get() }
}

/// A mask with one white box.
func boxMask(width: Int, height: Int, _ left: Int, _ top: Int, _ right: Int, _ bottom: Int) throws -> PictureMask {
    try PictureMask(
        width: width, height: height,
        values: (0..<width * height).map { position in
            (left..<right).contains(position % width) && (top..<bottom).contains(position / width) ? 255 : 0
        })
}
