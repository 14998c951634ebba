import Foundation
import GraphRuntime

/// A U-Net to whose skip connections and middle block ControlNets add what they make of a picture.
///
/// As diffusers' `StableDiffusionControlNetPipeline`: each network sees the same rows as the U-Net, its residuals are multiplied by its strength,
/// and those of several are added.
struct ControlledUNet: RowPredictor {
    /// A ControlNet with its picture.
    struct Part: Sendable {
        /// Nil where it is inside of the U-Net's graph.
        let network: ControlNet?
        /// [3, H, W] from 0 to 1.
        let pixels: [Float]
        let control: Control
    }

    /// What one network takes for the rows of a batch.
    struct Rows: Sendable {
        /// The rows that it sees.
        let indices: [Int]
        let inputs: [String: Tensor]
    }

    private var unet: UNet
    private let parts: [Part]
    private let width: Int
    private let height: Int
    /// Channels of the latents, which come first in what a U-Net for inpainting takes.
    private let latentChannels: Int
    private let firstIndex: Int
    /// Evaluations of the whole run, in which the shares of ``Control/start`` and ``Control/end`` are counted.
    private let total: Int
    /// What stands for no residuals.
    private let none: [String: Tensor]
    /// Which networks counted at the evaluation before; nil at the first.
    private var counted: [Bool]?

    /// - Parameters:
    ///   - unet: one that takes residuals, or has ControlNets inside.
    ///   - width: of the pictures, in pixels.
    ///   - firstIndex: the run's first evaluation.
    ///   - total: evaluations from there to the scheduler's last.
    /// - Throws: ``PipelineError`` for networks that aren't made for this U-Net.
    init(
        _ unet: UNet, parts: [Part], width: Int, height: Int, latentChannels: Int, firstIndex: Int, total: Int
    ) throws {
        self.unet = unet
        self.parts = parts
        (self.width, self.height, self.latentChannels) = (width, height, latentChannels)
        (self.firstIndex, self.total) = (firstIndex, total)
        if let builtIn = unet.builtIn, parts.isEmpty || parts.contains(where: { $0.network != nil }) {
            throw PipelineError(
                "The U-Net has \(builtIn.count.map { "\($0)" } ?? "its") ControlNets inside (\"\(builtIn.pictures.name)\"): a control picture for each is needed, and no network of "
                    + "one's own.", kind: .invalidRequest)
        }
        let inputs = unet.residuals?.inputs ?? []
        none = try Dictionary(uniqueKeysWithValues: inputs.map { ($0.name, try $0.tensor([0], shape: [1, 1, 1, 1])) })
        for network in parts.compactMap(\.network) { try check(network) }
    }

    private func check(_ network: ControlNet) throws {
        guard let residuals = unet.residuals else { return }
        guard network.count == residuals.inputs.count else {
            throw PipelineError(
                "The \(network.component.title) gives \(network.count - 1) residuals and one for the middle block, and the U-Net has \(residuals.inputs.count - 1) "
                    + "skip connections: it belongs to another family of models.", kind: .unsupportedModel)
        }
        for index in 0..<network.count {
            guard let given = network.declaredChannels(index), let expected = residuals.channels[index], given != expected
            else {
                continue
            }
            throw mismatch(network, index, found: "\(given) channels", expected: "\(expected)")
        }
    }

    private func mismatch(_ network: ControlNet, _ index: Int, found: String, expected: String) -> PipelineError {
        let place = index == network.count - 1 ? "the middle block" : "skip connection \(index)"
        return PipelineError(
            "The \(network.component.title) gives \(found) for \(place), and the U-Net has \(expected) there: it belongs to another family of models.",
            kind: .unsupportedModel)
    }

    var fixedBatch: Int? { unet.fixedBatch }

    func prepare(_ rows: [Conditioning], areNegative: [Bool]) throws -> PreparedRows {
        var inputs = try unet.tensors(of: rows)
        if let builtIn = unet.builtIn { inputs.merge(try pictures(for: builtIn, rows: rows.count)) { $1 } }
        let controls = try parts.map { part -> Rows in
            guard let network = part.network else { return Rows(indices: [], inputs: [:]) }
            let seen = rows.indices.filter { !isGuess(part) || !areNegative[$0] }
            if let fixed = network.fixedBatch, fixed != seen.count, !seen.isEmpty {
                throw PipelineError(
                    "The \(network.component.title) was exported for a batch of \(fixed), and \(seen.count) are needed: expected an export with a free batch.",
                    kind: .unsupportedModel)
            }
            return Rows(
                indices: seen,
                inputs: try network.tensors(of: seen.map { rows[$0] }, pixels: part.pixels, width: width, height: height))
        }
        return PreparedRows(inputs: inputs, controls: controls)
    }

    private func isGuess(_ part: Part) -> Bool { part.control.guesses || part.network?.poolsConditions == true }

    mutating func predict(
        _ latents: [ArraySlice<Float>], shape: [Int], at evaluation: Evaluation, rows: PreparedRows,
        observer: (any RunObserver)?
    ) throws -> Tensor {
        let counting = parts.map { scale($0, at: evaluation) != 0 }
        // What the deep part made with other networks isn't what it would make now.
        if counted != nil, counted != counting { unet.deepFeatures?.drop() }
        counted = counting
        var inputs = rows.inputs
        if let builtIn = unet.builtIn {
            inputs.merge(try scales(for: builtIn, at: evaluation)) { $1 }
        } else {
            inputs.merge(try residuals(latents, shape: shape, at: evaluation, rows: rows, observer: observer)) { $1 }
        }
        return try unet.predict(
            latents, shape: shape, at: evaluation, further: inputs, observer: observer)
    }

    /// How much a network counts at an evaluation: its strength, or nothing outside of its share of the run.
    private func scale(_ part: Part, at evaluation: Evaluation) -> Double {
        part.control.takesPart(inEvaluation: evaluation.index - firstIndex, of: total) ? part.control.strength : 0
    }

    /// The sums of the networks' residuals, by the names of the U-Net's inputs.
    private func residuals(
        _ latents: [ArraySlice<Float>], shape: [Int], at evaluation: Evaluation, rows: PreparedRows,
        observer: (any RunObserver)?
    ) throws -> [String: Tensor] {
        guard let places = unet.residuals else { return [:] }
        var sums = [ResidualSum?](repeating: nil, count: places.inputs.count)
        for (part, own) in zip(parts, rows.controls) {
            let scale = scale(part, at: evaluation)
            guard let network = part.network, scale != 0, !own.indices.isEmpty else { continue }
            // A U-Net for inpainting takes a mask and a masked picture besides, which ControlNets don't.
            let size = latentChannels * shape[2] * shape[3]
            let seen = own.indices.map { latents[$0].prefix(size) }
            let seenShape = [seen.count, latentChannels, shape[2], shape[3]]
            let given = try network.residuals(
                seen, shape: seenShape, timestep: evaluation.timestep, further: own.inputs, observer: observer)
            let scales = scales(part, base: scale, count: given.count)
            for (index, tensor) in given.enumerated() {
                let dimensions = tensor.shape.dimensions
                guard dimensions.count == 4, dimensions[0] == own.indices.count else {
                    throw mismatch(
                        network, index, found: "\(tensor.shape)", expected: "[\(own.indices.count), channels, rows, columns]")
                }
                if let expected = places.channels[index], expected != dimensions[1] {
                    throw mismatch(network, index, found: "\(tensor.shape)", expected: "\(expected) channels")
                }
                var sum = sums[index] ?? ResidualSum(rowCount: shape[0], shape: Array(dimensions.dropFirst()))
                guard try sum.add(tensor, scale: Float(scales[index]), rows: own.indices) else {
                    throw mismatch(network, index, found: "\(tensor.shape)", expected: "\([sum.rowCount] + sum.shape)")
                }
                sums[index] = sum
            }
        }
        var result = none
        for (input, sum) in zip(places.inputs, sums) {
            guard let sum else { continue }
            result[input.name] = try input.tensor(sum.values, shape: [sum.rowCount] + sum.shape)
        }
        return result
    }

    /// What each residual of a network is multiplied by: one and the same number, or in the guess mode growing ones, from a tenth of it for the
    /// first skip connection to all of it for the middle block.
    private func scales(_ part: Part, base: Double, count: Int) -> [Double] {
        guard part.control.guesses, part.network?.poolsConditions != true else { return Array(repeating: base, count: count) }
        return (0..<count).map { base * pow(10, -1 + Double($0) / Double(count - 1)) }
    }

    /// The pictures of the networks inside of the U-Net.
    private func pictures(for builtIn: BuiltInControl, rows: Int) throws -> [String: Tensor] {
        let list = parts.flatMap { part in Array(repeating: part.pixels[...], count: rows) }
        let shape = builtIn.pictures.dimensions?.count == 4 ? [rows, 3, height, width] : [parts.count, rows, 3, height, width]
        return [builtIn.pictures.name: try builtIn.pictures.tensor(rows: list, shape: shape)]
    }

    private func scales(for builtIn: BuiltInControl, at evaluation: Evaluation) throws -> [String: Tensor] {
        guard let input = builtIn.scales else { return [:] }
        let values = parts.map { Float(scale($0, at: evaluation)) }
        let rank = input.dimensions?.count ?? 2
        return [
            input.name: try input.tensor(values, shape: rank == 0 ? [] : [values.count] + Array(repeating: 1, count: rank - 1))
        ]
    }
}

/// The sum of what several ControlNets give for one place of the U-Net.
private struct ResidualSum {
    let rowCount: Int
    /// [C, h, w]; [C, 1, 1] for numbers that hold everywhere, as networks give that pool them.
    private(set) var shape: [Int]
    private(set) var values: [Float]

    init(rowCount: Int, shape: [Int]) {
        self.rowCount = rowCount
        self.shape = shape
        values = [Float](repeating: 0, count: rowCount * shape.reduce(1, *))
    }

    /// - Parameter rows: which rows the tensor has.
    /// - Returns: false for a tensor of other extents.
    mutating func add(_ tensor: Tensor, scale: Float, rows: [Int]) throws -> Bool {
        let given = Array(tensor.shape.dimensions.dropFirst())
        if given != shape {
            guard given[0] == shape[0] else { return false }
            if shape[1...] == [1, 1] {
                let area = given[1] * given[2]
                values = values.flatMap { Array(repeating: $0, count: area) }
                shape = given
            } else if given[1...] != [1, 1] {
                return false
            }
        }
        let size = shape.reduce(1, *)
        // How many values of the sum one of the tensor's is for.
        let span = given == shape ? 1 : shape[1] * shape[2]
        var target = values.mutableSpan
        try tensor.withSpan(of: Float.self) { source in
            for (position, row) in rows.enumerated() {
                let (from, to) = (position * (size / span), row * size)
                if span == 1 {
                    for index in 0..<size { target[to + index] += scale * source[from + index] }
                } else {
                    for index in 0..<size { target[to + index] += scale * source[from + index / span] }
                }
            }
        }
        return true
    }
}
