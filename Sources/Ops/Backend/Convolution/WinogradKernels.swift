import CKernels
import GraphRuntime

/// The kernels of a convolution, [output channels, input channels, 3, 3], as they lie in the weights.
@safe struct WinogradKernels: @unchecked Sendable {
    @unsafe private enum Source {
        case single(UnsafePointer<Float>)
        case half(HalfMatrix)
        case quantized(QuantizedRows.QuantizedMatrix)
    }

    private let source: Source
    private let inputChannels: Int
    /// What holds the memory.
    private let weights: Tensor?

    /// Input channels of which kernels of fewer bits are widened at a time: those of 14 output channels then take 32 KB.
    private static let widenedChannels = 64

    /// - Throws: ``TensorError`` where the weights are neither of float32 nor of 16-bit floats.
    init(_ weights: Tensor, inputChannels: Int) throws(TensorError) {
        self.inputChannels = inputChannels
        self.weights = weights
        unsafe source =
            unsafe weights.dtype.isHalf
            ? .half(try HalfMatrix(weights, step: inputChannels * 9))
            : unsafe .single(try weights.pointer(to: Float.self))
    }

    init(_ weights: QuantizedRows.QuantizedMatrix, inputChannels: Int) {
        self.inputChannels = inputChannels
        self.weights = nil
        unsafe source = unsafe .quantized(weights)
    }

    /// The first kernel of an output channel and an input channel, where the kernels are float32.
    func single(output: Int, input: Int) -> UnsafePointer<Float>? {
        guard case .single(let first) = unsafe source else { return nil }
        return unsafe first + (output * inputChannels + input) * 9
    }

    /// A transform of kernels, as `ck_winograd_weights` has its parameters.
    typealias Transform = (
        _ weights: UnsafePointer<Float>?, _ channelStep: Int, _ channels: Int, _ count: Int32, _ rows: Int32,
        _ target: UnsafeMutablePointer<Float>?, _ positionStep: Int
    ) -> Void

    /// Transforms the kernels of some output channels, at most `rows`, into [position][input channel][row], of which `target` is the first
    /// that is asked for.
    ///
    /// - Parameter transform: for F(4×4, 3×3) where none is given.
    func transform(
        _ outputs: Range<Int>, channels: Range<Int>, rows: Int, into target: UnsafeMutablePointer<Float>, positionStep: Int,
        by transform: Transform = unsafe ck_winograd_weights
    ) {
        switch unsafe source {
        case .single(let first):
            let size = inputChannels * 9
            unsafe transform(
                first + outputs.lowerBound * size + channels.lowerBound * 9, size, channels.count, Int32(outputs.count),
                Int32(rows), target, positionStep)
        case .half(let kernels):
            unsafe transformWidened(
                outputs, channels: channels, rows: rows, into: target, positionStep: positionStep, by: transform
            ) {
                unsafe kernels.widen(row: $0, column: $1, count: $2, into: $3)
            }
        case .quantized(let kernels):
            unsafe transformWidened(
                outputs, channels: channels, rows: rows, into: target, positionStep: positionStep, by: transform
            ) {
                unsafe kernels.widen(row: $0, column: $1, count: $2, into: $3)
            }
        }
    }

    private func transformWidened(
        _ outputs: Range<Int>, channels: Range<Int>, rows: Int, into target: UnsafeMutablePointer<Float>, positionStep: Int,
        by transform: Transform, widen: (_ row: Int, _ column: Int, _ count: Int, UnsafeMutablePointer<Float>) -> Void
    ) {
        let most = min(Self.widenedChannels, channels.count)
        unsafe withUnsafeTemporaryAllocation(of: Float.self, capacity: outputs.count * most * 9) { memory in
            guard let numbers = memory.baseAddress else { return }
            for first in stride(from: channels.lowerBound, to: channels.upperBound, by: most) {
                let count = min(most, channels.upperBound - first)
                for (index, output) in outputs.enumerated() {
                    unsafe widen(output, first * 9, count * 9, numbers + index * count * 9)
                }
                unsafe transform(
                    numbers, count * 9, count, Int32(outputs.count), Int32(rows),
                    target + (first - channels.lowerBound) * rows, positionStep)
            }
        }
    }
}
