import CKernels

/// Where the tiles of a convolution by minimal filtering lie: counted row by row over one picture after the other.
struct WinogradGeometry {
    let batch: Int
    let inputChannels: Int
    let outputChannels: Int
    let tilesPerPicture: Int
    let kernel: ck_winograd_geometry
    private let inputArea: Int
    private let outputArea: Int

    static let positions = Int(CK_WINOGRAD_POSITIONS)

    /// - Parameter side: output pixels along each side of a tile: 4 for F(4×4, 3×3), which is what the other functions are for, 2 for F(2×2, 3×3).
    /// - Returns: nil where the convolution hasn't stride 1 and 3×3 kernels on one group.
    init?(_ window: ConvolutionWindow, side: Int = 4) {
        guard window.kernel == [3, 3], window.strides == [1, 1], window.dilations == [1, 1], window.group == 1,
            window.outputCount > 0, window.batch > 0
        else { return nil }
        let (height, width) = (window.output[0], window.output[1])
        let across = (width + side - 1) / side
        kernel = ck_winograd_geometry(
            height: window.input[0], width: window.input[1], output_height: height, output_width: width,
            pad_top: window.padsBegin[0], pad_left: window.padsBegin[1], tiles_across: across)
        batch = window.batch
        inputChannels = window.inputChannels
        outputChannels = window.outputChannels
        inputArea = window.inputCount
        outputArea = window.outputCount
        tilesPerPicture = (height + side - 1) / side * across
    }

    var tileCount: Int { batch * tilesPerPicture }

    /// Calls `body` for the parts of a range of tiles that lie in one picture each.
    ///
    /// - Parameters of `body`: the picture, the part's first tile in it, that tile's place in the range, and the number of tiles.
    @inline(__always) private func forEachPicture(
        of tiles: Range<Int>, _ body: (_ picture: Int, _ first: Int, _ lane: Int, _ count: Int) -> Void
    ) {
        var tile = tiles.lowerBound
        while tile < tiles.upperBound {
            let picture = tile / tilesPerPicture
            let count = min(tiles.upperBound, (picture + 1) * tilesPerPicture) - tile
            body(picture, tile - picture * tilesPerPicture, tile - tiles.lowerBound, count)
            tile += count
        }
    }

    /// Transforms some tiles (32 at most) of one channel: position p of tile i goes to target[p * positionStep + i].
    func transformInput(
        _ input: UnsafePointer<Float>, channel: Int, tiles: Range<Int>, into target: UnsafeMutablePointer<Float>,
        positionStep: Int
    ) {
        unsafe withUnsafePointer(to: kernel) { geometry in
            forEachPicture(of: tiles) { picture, first, lane, count in
                unsafe ck_winograd_input(
                    geometry, input + (picture * inputChannels + channel) * inputArea, first, Int32(lane), Int32(count), target,
                    positionStep)
            }
        }
    }

    /// Transforms products[p * positionStep + i] of some tiles (32 at most) back into the pictures of one output channel, and finishes them.
    func transformOutput(
        _ products: UnsafePointer<Float>, positionStep: Int, channel: Int, bias: Float, tiles: Range<Int>,
        finish: ck_finish, residual: UnsafePointer<Float>?, into output: UnsafeMutablePointer<Float>
    ) {
        var finish = finish
        unsafe withUnsafePointer(to: kernel) { geometry in
            forEachPicture(of: tiles) { picture, first, lane, count in
                let plane = (picture * outputChannels + channel) * outputArea
                unsafe ck_winograd_output(
                    geometry, products, positionStep, Int32(lane), Int32(count), bias, first,
                    residual.map { unsafe $0 + plane },
                    &finish, output + plane)
            }
        }
    }

    /// Transforms products[p * positionStep + i] of one tile back into the pictures of the output channels i + channels.lowerBound.
    func transformOutput(
        _ products: UnsafePointer<Float>, positionStep: Int, channels: Range<Int>, bias: UnsafePointer<Float>?, tile: Int,
        finish: ck_finish, residual: UnsafePointer<Float>?, into output: UnsafeMutablePointer<Float>
    ) {
        var finish = finish
        let picture = tile / tilesPerPicture
        let plane = (picture * outputChannels + channels.lowerBound) * outputArea
        unsafe withUnsafePointer(to: kernel) { geometry in
            unsafe ck_winograd_output_channels(
                geometry, products, positionStep, Int32(channels.count), bias.map { unsafe $0 + channels.lowerBound },
                tile - picture * tilesPerPicture, residual.map { unsafe $0 + plane }, &finish, output + plane, outputArea)
        }
    }
}
