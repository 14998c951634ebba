import GraphRuntime

/// The pictures that a dilated convolution of stride 1 sees: those of the pixels that are as many apart as taps are, one for each remainder
/// ("phase") of rows and columns, where padding is whole dilations. All are of one size, with zeros behind the last pixel.
struct PhasePlanes: Sendable {
    /// Rows and columns of a picture, of its result, and its padding.
    let input: [Int]
    let output: [Int]
    let padsBegin: [Int]
    let padsEnd: [Int]
    private let window: ConvolutionWindow
    private let dilations: [Int]

    /// - Returns: nil where phases would see pixels of others.
    init?(_ window: ConvolutionWindow) {
        guard window.kernel.count == 2, zip(window.padsBegin, window.dilations).allSatisfy({ $0 >= 0 && $0 % $1 == 0 }),
            (window.input + window.output).allSatisfy({ $0 > 0 })
        else { return nil }
        func phases(_ extents: [Int]) -> [Int] { zip(extents, window.dilations).map { ($0 + $1 - 1) / $1 } }
        self.window = window
        dilations = window.dilations
        (input, output) = (phases(window.input), phases(window.output))
        padsBegin = zip(window.padsBegin, window.dilations).map { $0 / $1 }
        padsEnd = [0, 1].map { [input, output, padsBegin] in output[$0] + window.kernel[$0] - 1 - input[$0] - padsBegin[$0] }
        guard padsEnd.allSatisfy({ $0 >= 0 }) else { return nil }
    }

    /// Phases of rows and columns.
    var count: Int { dilations[0] * dilations[1] }

    /// Pixels of the larger one of picture and result.
    var largest: Int { max(input[0] * input[1], output[0] * output[1]) }

    /// pictures[n, phase][channel] = the phase's pixels of the plane of the input [N, C, H, W].
    func gather(_ source: Tensor, into pictures: MutableTensor, threads: ThreadPool) throws {
        nonisolated(unsafe) let from = unsafe try source.pointer(to: Float.self)
        nonisolated(unsafe) let to = unsafe try pictures.pointer(to: Float.self)
        let (channels, rows, columns) = (window.inputChannels, window.input[0], window.input[1])
        threads.forEachRange(window.batch * channels, grain: max(BroadcastPlan.grain / (rows * columns), 1)) { part in
            for index in part {
                let plane = unsafe from + index * rows * columns
                for phase in 0..<count {
                    let (picture, channel) = (index / channels * count + phase, index % channels)
                    let target = unsafe to + (picture * channels + channel) * input[0] * input[1]
                    let (first, column) = (phase / dilations[1], phase % dilations[1])
                    for row in 0..<input[0] {
                        let own = unsafe target + row * input[1]
                        let place = first + row * dilations[0]
                        let inside = place < rows && column < columns ? (columns - column - 1) / dilations[1] + 1 : 0
                        let line = unsafe plane + place * columns + column
                        for pixel in 0..<inside { unsafe own[pixel] = line[pixel * dilations[1]] }
                        for pixel in inside..<input[1] { unsafe own[pixel] = 0 }
                    }
                }
            }
        }
    }

    /// The output [N, M, H, W] of results[n, phase][channel], with what becomes of its numbers.
    func scatter(_ results: Tensor, into target: MutableTensor, _ epilogue: ConvolutionEpilogue, threads: ThreadPool) throws {
        nonisolated(unsafe) let from = unsafe try results.pointer(to: Float.self)
        nonisolated(unsafe) let to = unsafe try target.pointer(to: Float.self)
        let (channels, rows, columns) = (window.outputChannels, window.output[0], window.output[1])
        threads.forEachRange(window.batch * channels, grain: max(BroadcastPlan.grain / (rows * columns), 1)) { part in
            for index in part {
                let plane = unsafe to + index * rows * columns
                for phase in 0..<count {
                    let (picture, channel) = (index / channels * count + phase, index % channels)
                    let source = unsafe from + (picture * channels + channel) * output[0] * output[1]
                    let (first, column) = (phase / dilations[1], phase % dilations[1])
                    for (row, place) in stride(from: first, to: rows, by: dilations[0]).enumerated() where column < columns {
                        let line = unsafe plane + place * columns + column
                        for pixel in 0...(columns - column - 1) / dilations[1] {
                            unsafe line[pixel * dilations[1]] = source[row * output[1] + pixel]
                        }
                    }
                }
                unsafe epilogue.apply(plane, count: rows * columns, place: index * rows * columns)
            }
        }
    }
}
