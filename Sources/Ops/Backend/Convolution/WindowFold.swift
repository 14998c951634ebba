import CKernels
import GraphRuntime

/// Adds the products of a transposed convolution's pixels with its weights to the output pixels that they reach: the inverse of
/// ``Im2Col``.
struct WindowFold {
    private let input: [Int]
    private let output: [Int]
    private let kernel: [Int]
    private let strides: [Int]
    private let dilations: [Int]
    private let padsBegin: [Int]

    /// Each argument has a number for each spatial axis.
    init(input: [Int], output: [Int], kernel: [Int], strides: [Int], dilations: [Int], padsBegin: [Int]) {
        // Rows of one axis are those of a picture one pixel high.
        let missing = max(2 - input.count, 0)
        let (ones, zeros) = (Array(repeating: 1, count: missing), Array(repeating: 0, count: missing))
        (self.input, self.output, self.kernel) = (ones + input, ones + output, ones + kernel)
        (self.strides, self.dilations, self.padsBegin) = (ones + strides, ones + dilations, zeros + padsBegin)
    }

    private var columnAxis: Int { kernel.count - 1 }
    private var rowAxis: Int { kernel.count - 2 }

    var taps: Int { kernel.reduce(1, *) }
    /// Pixels of a row of the input.
    var width: Int { input[columnAxis] }
    /// Rows of the input, along all axes but the last.
    var rowCount: Int { input.dropLast().reduce(1, *) }
    var inputCount: Int { input.reduce(1, *) }
    var outputCount: Int { output.reduce(1, *) }

    /// Parts that tasks may be of which no two reach the same output pixels.
    var mostParts: Int { (kernel[0] - 1) * dilations[0] < strides[0] ? input[0] : 1 }

    /// Whether the output of one pixel is its products as they lie, as at the start of generators.
    private var isProduct: Bool {
        inputCount == 1 && output == kernel && dilations.allSatisfy { $0 == 1 } && padsBegin.allSatisfy { $0 == 0 }
    }

    /// A part of the input's rows.
    func part(_ part: Int, of parts: Int) -> Range<Int> {
        input[0] * part / parts * rowsOfIndex..<input[0] * (part + 1) / parts * rowsOfIndex
    }

    /// Rows that have the same index along the first axis.
    private var rowsOfIndex: Int { input.dropFirst().dropLast().reduce(1, *) }

    /// The output pixels that the rows before `row` may have reached.
    func reached(before row: Int) -> Int {
        let index = (row + rowsOfIndex - 1) / rowsOfIndex
        return index == 0 ? 0 : end(index, place(0, kernel[0] - 1, index - 1) + 1)
    }

    /// The output pixels that no row from `row` on reaches.
    func finished(before row: Int) -> Int {
        let index = row / rowsOfIndex
        return index == 0 ? 0 : end(index, place(0, 0, index))
    }

    /// The pixels before an output index along the first axis; all of them behind the last input index.
    private func end(_ index: Int, _ place: Int) -> Int {
        (index == input[0] ? output[0] : min(max(place, 0), output[0])) * output.dropFirst().reduce(1, *)
    }

    /// - Parameters:
    ///   - products: [channels, kernel positions, rows, columns].
    ///   - rows: of the input; one, or whole ones.
    ///   - result: [channels, output pixels].
    func add<Element: FoldedElement>(
        _ products: UnsafePointer<Element>, channels: Int, rows: Range<Int>, columns: Range<Int>,
        to result: UnsafeMutablePointer<Element>
    ) {
        if isProduct {
            return unsafe Element.addInterleaved(
                products, step: 0, rowStep: 0, taps: 1, to: result, stride: 1, rowStepOfTarget: 0,
                count: channels * outputCount, rowCount: 1)
        }
        let (taps, height) = (kernel[columnAxis], input[rowAxis])
        let step = rows.count * columns.count
        // Neighbouring taps of a stride reach neighbouring pixels.
        let joined = dilations[columnAxis] == 1 ? min(strides[columnAxis], taps) : 1
        var tap = [Int](repeating: 0, count: kernel.count)
        for place in stride(from: 0, to: self.taps, by: taps) {
            decompose(place, by: kernel, into: &tap)
            // Rows of one plane.
            var row = rows.lowerBound
            while row < rows.upperBound {
                let first = row % height
                let count = min(height - first, rows.upperBound - row)
                defer { row += count }
                let reaching = inside(rowAxis, tap[rowAxis], of: first..<first + count)
                guard !reaching.isEmpty, let plane = outputPlane(row / height, tap) else { continue }
                let target = unsafe result + plane + self.place(rowAxis, tap[rowAxis], reaching.lowerBound) * output[columnAxis]
                let values =
                    unsafe products + place * step + (row - rows.lowerBound + reaching.lowerBound - first) * columns.count
                for first in stride(from: 0, to: taps, by: joined) {
                    unsafe addTaps(
                        first..<min(first + joined, taps), of: columns, rowCount: reaching.count, channels: channels,
                        values + first * step, step: step, to: target)
                }
            }
        }
    }

    /// - Parameters:
    ///   - taps: along the last axis, neighbouring ones of one stride.
    ///   - columns: along the last axis.
    ///   - values: the products of the first row and the first tap.
    ///   - step: from one tap to the next.
    ///   - target: where the output row begins that the first row reaches.
    private func addTaps<Element: FoldedElement>(
        _ taps: Range<Int>, of columns: Range<Int>, rowCount: Int, channels: Int, _ values: UnsafePointer<Element>, step: Int,
        to target: UnsafeMutablePointer<Element>
    ) {
        let (productsOfChannel, outputCount) = (self.taps * step, outputCount)
        func add(_ taps: Range<Int>, _ part: Range<Int>, _ values: UnsafePointer<Element>) {
            guard !part.isEmpty else { return }
            let place = place(columnAxis, taps.lowerBound, part.lowerBound)
            for channel in 0..<channels {
                unsafe Element.addInterleaved(
                    values + channel * productsOfChannel + part.lowerBound - columns.lowerBound, step: step,
                    rowStep: columns.count, taps: taps.count, to: target + channel * outputCount + place,
                    stride: strides[columnAxis], rowStepOfTarget: strides[rowAxis] * output[columnAxis], count: part.count,
                    rowCount: rowCount)
            }
        }
        let first = inside(columnAxis, taps.lowerBound, of: columns)
        let last = inside(columnAxis, taps.upperBound - 1, of: columns)
        let lower = max(first.lowerBound, last.lowerBound)
        let shared = lower..<max(min(first.upperBound, last.upperBound), lower)
        unsafe add(taps, shared, values)
        guard taps.count > 1 else { return }
        for tap in taps {
            let own = inside(columnAxis, tap, of: columns)
            let products = unsafe values + (tap - taps.lowerBound) * step
            let before = own.lowerBound..<max(min(shared.lowerBound, own.upperBound), own.lowerBound)
            let behind = max(shared.upperBound, before.upperBound)
            unsafe add(tap..<tap + 1, before, products)
            unsafe add(tap..<tap + 1, behind..<max(own.upperBound, behind), products)
        }
    }

    /// The output index along an axis that an input index reaches by a tap.
    private func place(_ axis: Int, _ tap: Int, _ index: Int) -> Int {
        index * strides[axis] + tap * dilations[axis] - padsBegin[axis]
    }

    /// The input indices whose products with a tap go to pixels of the output, not to its padding.
    private func inside(_ axis: Int, _ tap: Int, of range: Range<Int>) -> Range<Int> {
        let (shift, step) = (place(axis, tap, 0), strides[axis])
        let lower = max(shift >= 0 ? 0 : (-shift + step - 1) / step, range.lowerBound)
        let upper = output[axis] - shift <= 0 ? 0 : (output[axis] - shift + step - 1) / step
        return lower..<max(min(upper, range.upperBound), lower)
    }

    /// Where the output plane begins to which the products of an input plane at a kernel position go; nil for the padding.
    private func outputPlane(_ plane: Int, _ tap: [Int]) -> Int? {
        var (rest, offset) = (plane, 0)
        var extent = output[rowAxis] * output[columnAxis]
        for axis in stride(from: rowAxis - 1, through: 0, by: -1) {
            let position = place(axis, tap[axis], rest % input[axis])
            rest /= input[axis]
            guard position >= 0, position < output[axis] else { return nil }
            offset += position * extent
            extent *= output[axis]
        }
        return offset
    }
}

/// The element types of transposed convolutions.
protocol FoldedElement: BLASElement {
    /// y[row · rowStepOfTarget + i · stride + tap] += products[tap · step + row · rowStep + i] for row < rowCount, i < count and tap < taps,
    /// at most as many as the stride.
    static func addInterleaved(
        _ products: UnsafePointer<Self>, step: Int, rowStep: Int, taps: Int, to y: UnsafeMutablePointer<Self>, stride: Int,
        rowStepOfTarget: Int, count: Int, rowCount: Int)

    /// Applies what was fused behind the convolution.
    static func apply(_ activation: FusedActivation, to values: UnsafeMutablePointer<Self>, count: Int)
}

extension Float: FoldedElement {
    static func addInterleaved(
        _ products: UnsafePointer<Float>, step: Int, rowStep: Int, taps: Int, to y: UnsafeMutablePointer<Float>, stride: Int,
        rowStepOfTarget: Int, count: Int, rowCount: Int
    ) {
        unsafe ck_add_interleaved(products, step, rowStep, taps, y, stride, rowStepOfTarget, count, rowCount)
    }

    static func apply(_ activation: FusedActivation, to values: UnsafeMutablePointer<Float>, count: Int) {
        unsafe activation.apply(values, values, count: count)
    }
}

extension Double: FoldedElement {
    static func addInterleaved(
        _ products: UnsafePointer<Double>, step: Int, rowStep: Int, taps: Int, to y: UnsafeMutablePointer<Double>, stride: Int,
        rowStepOfTarget: Int, count: Int, rowCount: Int
    ) {
        for row in 0..<rowCount {
            for tap in 0..<taps {
                let (from, to) = unsafe (products + row * rowStep + tap * step, y + row * rowStepOfTarget + tap)
                for index in 0..<count { unsafe to[index * stride] += from[index] }
            }
        }
    }

    /// Only behind convolutions of float32 anything is fused.
    static func apply(_ activation: FusedActivation, to values: UnsafeMutablePointer<Double>, count: Int) {}
}
