import CKernels
import GraphRuntime

/// Convolutions with one window a picture that reads all of it, as those of squeeze-and-excitation: dot products of the picture with the
/// rows of the weights, as they lie.
struct DotConvolution {
    private let window: ConvolutionWindow

    /// Weights that are worth a thread.
    private static let grain = 1 << 16
    /// With more pictures, weights are better read once for several.
    private static let mostPictures = 3

    /// - Returns: nil where the convolution isn't of this kind.
    init?(_ window: ConvolutionWindow) {
        guard window.group == 1, window.outputCount == 1, window.input == window.kernel, window.inputChannels > 0,
            window.padsBegin.allSatisfy({ $0 == 0 }), window.batch <= Self.mostPictures,
            zip(window.dilations, window.kernel).allSatisfy({ $0 == 1 || $1 == 1 })
        else { return nil }
        self.window = window
    }

    /// Runs the convolution; tensors as ``convolve(_:_:_:_:bias:into:threads:)`` takes them, of float32.
    func run(
        input: Tensor, weights: Tensor, bias: Tensor?, _ epilogue: ConvolutionEpilogue, output: MutableTensor,
        threads: ThreadPool
    ) throws {
        nonisolated(unsafe) let source = unsafe try input.pointer(to: Float.self)
        nonisolated(unsafe) let rows = unsafe try weights.pointer(to: Float.self)
        nonisolated(unsafe) let offsets = unsafe try bias?.pointer(to: Float.self)
        nonisolated(unsafe) let target = unsafe try output.pointer(to: Float.self)
        let (outputs, depth) = (window.outputChannels, window.inputChannels * window.inputCount)
        for picture in 0..<window.batch {
            threads.forEachRange(outputs, grain: max(Self.grain / depth, 1)) { part in
                let sums = unsafe target + picture * outputs + part.lowerBound
                unsafe ck_dot_rows(
                    source + picture * depth, depth, rows + part.lowerBound * depth, depth, part.count, sums)
                if let offsets = unsafe offsets { unsafe ck_add(sums, 1, offsets + part.lowerBound, 1, sums, part.count) }
                unsafe epilogue.apply(
                    sums, count: part.count, place: picture * outputs + part.lowerBound)
            }
        }
    }
}
