import GraphRuntime

/// How an operator's `auto_pad` attribute chooses the padding.
enum AutoPad: String {
    case notSet = "NOTSET"
    case sameUpper = "SAME_UPPER"
    case sameLower = "SAME_LOWER"
    case valid = "VALID"
}

/// The window attributes that Conv and ConvTranspose share, decoded but not yet fitted to a shape.
struct WindowAttributes: Sendable {
    var autoPad: AutoPad = .notSet
    /// Empty where the attribute isn't given.
    var kernelShape: [Int] = []
    var strides: [Int] = []
    var dilations: [Int] = []
    /// Begins of all spatial axes, then ends; empty where the attribute isn't given.
    var pads: [Int] = []
    var group = 1

    init(_ node: inout NodeDecoder) throws {
        let name = try node.string("auto_pad", default: "NOTSET")
        guard let autoPad = AutoPad(rawValue: name) else { throw TensorError("auto_pad \"\(name)\" isn't one of ONNX's") }
        self.autoPad = autoPad
        kernelShape = try node.optionalInts("kernel_shape") ?? []
        strides = try node.optionalInts("strides") ?? []
        dilations = try node.optionalInts("dilations") ?? []
        pads = try node.optionalInts("pads") ?? []
        group = try node.int("group", default: 1)
        guard group >= 1 else { throw TensorError("group is \(group), expected 1 or more") }
    }

    init() {}

    /// The values for each spatial axis, with defaults filled in.
    ///
    /// - Throws: ``TensorError`` where a list has the wrong length or a value out of range.
    func values(kernel: [Int]) throws(TensorError) -> (strides: [Int], dilations: [Int], pads: [Int]) {
        let rank = kernel.count
        guard kernelShape.isEmpty || kernelShape == kernel else {
            throw TensorError("kernel_shape \(kernelShape) contradicts the weights' \(kernel)")
        }
        let strides = try Self.list(strides, count: rank, default: 1, smallest: 1, name: "strides")
        let dilations = try Self.list(dilations, count: rank, default: 1, smallest: 1, name: "dilations")
        let pads = try Self.list(pads, count: 2 * rank, default: 0, smallest: 0, name: "pads")
        return (strides, dilations, pads)
    }

    private static func list(
        _ values: [Int], count: Int, default value: Int, smallest: Int, name: String
    ) throws(TensorError) -> [Int] {
        if values.isEmpty { return Array(repeating: value, count: count) }
        guard values.count == count else { throw TensorError("\(name) \(values) should have \(count) values") }
        for value in values where value < smallest || value > 1 << 30 {
            throw TensorError("\(name) \(values) are out of range")
        }
        return values
    }
}

/// A convolution fitted to its shapes: input [N, C, spatial…], weights [M, C / group, kernel…], output [N, M, spatial…].
struct ConvolutionWindow: Sendable {
    let batch: Int
    let inputChannels: Int
    let outputChannels: Int
    let group: Int
    let input: [Int]
    let kernel: [Int]
    let output: [Int]
    let strides: [Int]
    let dilations: [Int]
    /// Zeros before the first element of each spatial axis.
    let padsBegin: [Int]

    init(_ attributes: WindowAttributes, input: Shape, weights: Shape) throws(TensorError) {
        guard input.rank >= 3, weights.rank == input.rank else {
            throw TensorError(
                "expected input [N, C, spatial…] and weights [M, C/group, kernel…], found \(input) and \(weights)")
        }
        batch = input[0]
        inputChannels = input[1]
        outputChannels = weights[0]
        group = attributes.group
        guard inputChannels % group == 0, outputChannels % group == 0, weights[1] == inputChannels / group else {
            throw TensorError("weights \(weights) don't fit input \(input) in \(group) groups")
        }
        self.input = Array(input.dimensions.dropFirst(2))
        kernel = Array(weights.dimensions.dropFirst(2))
        let (strides, dilations, pads) = try attributes.values(kernel: kernel)
        self.strides = strides
        self.dilations = dilations
        var begin: [Int] = []
        var output: [Int] = []
        for axis in kernel.indices {
            let (reach, overflow) = max(kernel[axis] - 1, 0).multipliedReportingOverflow(by: dilations[axis])
            guard !overflow, reach < 1 << 40, kernel[axis] > 0 else {
                throw TensorError("the kernel \(kernel) is out of range")
            }
            let extent = self.input[axis]
            switch attributes.autoPad {
            case .notSet, .valid:
                let (first, last) = attributes.autoPad == .valid ? (0, 0) : (pads[axis], pads[axis + kernel.count])
                let room = extent + first + last - reach - 1
                guard room >= 0 || extent == 0 else {
                    throw TensorError("the kernel \(kernel) is larger than the padded input \(input)")
                }
                begin.append(first)
                output.append(room < 0 ? 0 : room / strides[axis] + 1)
            case .sameUpper, .sameLower:
                let result = (extent + strides[axis] - 1) / strides[axis]
                let total = max((result - 1) * strides[axis] + reach + 1 - extent, 0)
                begin.append(attributes.autoPad == .sameUpper ? total / 2 : total - total / 2)
                output.append(result)
            }
        }
        padsBegin = begin
        self.output = output
        try BLASLimits.check(
            outputChannels, (try Shape(output)).count, (try Shape(Array(weights.dimensions.dropFirst()))).count)
    }

    /// Zeros behind the last element of an axis that the last window sees, if it has so many taps and such padding before.
    func padEnd(_ axis: Int, taps: Int? = nil, begin: Int? = nil) -> Int {
        let reach = ((taps ?? kernel[axis]) - 1) * dilations[axis] + 1
        return max((output[axis] - 1) * strides[axis] + reach - input[axis] - (begin ?? padsBegin[axis]), 0)
    }

    var outputShape: Shape { get throws(TensorError) { try Shape([batch, outputChannels] + output) } }

    var inputCount: Int { input.reduce(1, *) }
    var kernelCount: Int { kernel.reduce(1, *) }
    var outputCount: Int { output.reduce(1, *) }

    /// Whether the convolution is a plain matrix product over the pixels.
    var isPointwise: Bool {
        kernel.allSatisfy { $0 == 1 } && strides.allSatisfy { $0 == 1 } && padsBegin.allSatisfy { $0 == 0 } && output == input
    }
}
