import GraphRuntime

/// Some slices of the output of a convolution along three axes, and what of the input they see. Slices of all pictures are numbered one
/// picture after the other.
struct SlicePlanes {
    private let window: ConvolutionWindow
    private let slices: Range<Int>

    init(_ window: ConvolutionWindow, _ slices: Range<Int>) { (self.window, self.slices) = (window, slices) }

    /// planes[slice][channel][tap] = the plane of the input [N, C, D, H, W] that the tap sees, or zeros outside of it.
    func gather(_ input: Tensor, into planes: MutableTensor, threads: ThreadPool) throws {
        let (channels, taps, extent) = (window.inputChannels, window.kernel[0], window.input[0])
        let pixels = window.input[1] * window.input[2]
        nonisolated(unsafe) let source = unsafe try input.pointer(to: Float.self)
        nonisolated(unsafe) let target = unsafe try planes.pointer(to: Float.self)
        threads.forEachRange(slices.count * channels, grain: max(BroadcastPlan.grain / max(taps * pixels, 1), 1)) { part in
            for index in part {
                let (slice, channel) = (slices.lowerBound + index / channels, index % channels)
                let (picture, depth) = (slice / window.output[0], slice % window.output[0])
                for tap in 0..<taps {
                    let seen = depth * window.strides[0] + tap * window.dilations[0] - window.padsBegin[0]
                    let plane = unsafe target + (index * taps + tap) * pixels
                    if seen >= 0, seen < extent {
                        let place = ((picture * channels + channel) * extent + seen) * pixels
                        unsafe plane.update(from: source + place, count: pixels)
                    } else {
                        unsafe plane.update(repeating: 0, count: pixels)
                    }
                }
            }
        }
    }

    /// The output [N, M, D, H, W] of results[slice][channel], with what becomes of its numbers.
    func scatter(_ results: Tensor, into output: MutableTensor, _ epilogue: ConvolutionEpilogue, threads: ThreadPool) throws {
        let (channels, depths) = (window.outputChannels, window.output[0])
        let pixels = window.output[1] * window.output[2]
        nonisolated(unsafe) let source = unsafe try results.pointer(to: Float.self)
        nonisolated(unsafe) let target = unsafe try output.pointer(to: Float.self)
        threads.forEachRange(slices.count * channels, grain: max(BroadcastPlan.grain / pixels, 1)) { part in
            for index in part {
                let (slice, channel) = (slices.lowerBound + index / channels, index % channels)
                let place = ((slice / depths * channels + channel) * depths + slice % depths) * pixels
                unsafe (target + place).update(from: source + index * pixels, count: pixels)
                unsafe epilogue.apply(target + place, count: pixels, place: place)
            }
        }
    }
}
