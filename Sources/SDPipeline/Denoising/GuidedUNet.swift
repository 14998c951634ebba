import GraphRuntime

/// The U-Net with classifier-free guidance (Ho and Salimans 2022): for each picture a prediction for every conditioning, in as many runs as
/// memory and the export ask for, and one prediction of them.
struct GuidedUNet: Denoiser {
    /// Rows that one run of the U-Net takes.
    private struct Batch {
        /// The picture that each row is of.
        let pictures: [Int]
        /// Which conditioning each row has.
        let conditionings: [Int]
        /// Rows whose predictions count; the others fill up a fixed batch.
        let count: Int
        let prepared: PreparedRows
        /// With what it keeps of these rows.
        var unet: any RowPredictor
    }

    /// How much each conditioning but the first moves the prediction.
    private let scales: [Float]
    private var batches: [Batch]

    /// Latents of the rows that one run takes: those of one 512×512 picture, so that memory doesn't grow with the number of pictures.
    private static let latentsAtOnce = 4096

    /// - Parameters:
    ///   - conditionings: the negative prompt's, and those of one or more prompts; a prompt's alone without guidance.
    ///   - scales: for each prompt beside the negative one, wᵢ in ε = ε_negative + Σ wᵢ (εᵢ − ε_negative) (Liu et al. 2022, equation 11).
    ///   - latentShape: [N, C, h, w].
    ///   - computesPicturesAlone: whether each picture is computed alone, so that not even its rounding depends on the others.
    init(
        _ unet: any RowPredictor, conditionings: [Conditioning], scales: [Double], latentShape: [Int],
        computesPicturesAlone: Bool
    ) throws {
        self.scales = scales.map { Float($0) }
        let perPicture = conditionings.count
        let rowCount = latentShape[0] * perPicture
        let pictures = computesPicturesAlone ? 1 : max(Self.latentsAtOnce / (latentShape[2] * latentShape[3]), 1)
        // Several prompts of one picture take turns, so that memory doesn't grow with their number.
        let step = unet.fixedBatch ?? min(rowCount, pictures * min(perPicture, 2))
        // Batches of the same prompts share their tensors.
        var prepared: [[Int]: PreparedRows] = [:]
        batches = try stride(from: 0, to: rowCount, by: step).map { first in
            // An export of a fixed batch gets its last rows filled up with copies.
            let rows = (first..<first + step).map { min($0, rowCount - 1) }
            let used = rows.map { $0 % perPicture }
            let shared =
                try prepared[used]
                ?? unet.prepare(
                    used.map { conditionings[$0] }, areNegative: used.map { $0 == 0 && !scales.isEmpty })
            prepared[used] = shared
            return Batch(
                pictures: rows.map { $0 / perPicture }, conditionings: used, count: min(step, rowCount - first),
                prepared: shared, unet: unet)
        }
    }

    mutating func predict(
        _ latents: Latents, at evaluation: Evaluation, observer: (any RunObserver)?
    ) throws -> Latents {
        var result: [Float] = []
        // Where several prompts move it, the negative one's prediction is kept for all of them.
        var negative: [Float] = []
        var shape = latents.shape
        for index in batches.indices {
            let batch = batches[index]
            let output = try batches[index].unet.predict(
                batch.pictures.map(latents.values(ofPicture:)), shape: [batch.pictures.count] + latents.shape.dropFirst(),
                at: evaluation, rows: batch.prepared, observer: observer)
            let size = output.count / batch.pictures.count
            if result.isEmpty {
                shape[1] = output.shape[1]
                result = [Float](repeating: 0, count: latents.pictureCount * size)
                if scales.count > 1 { negative = result }
            }
            try output.withSpan(of: Float.self) { predictions in
                for row in 0..<batch.count {
                    let (prediction, start) = (
                        predictions.extracting(row * size..<(row + 1) * size), batch.pictures[row] * size
                    )
                    let index = batch.conditionings[row]
                    if scales.count < 2 {
                        combine(prediction, ofConditioning: index, into: &result, at: start)
                    } else if index == 0 {
                        combine(prediction, ofConditioning: 0, into: &result, at: start)
                        combine(prediction, ofConditioning: 0, into: &negative, at: start)
                    } else {
                        add(prediction, scale: scales[index - 1], over: negative, to: &result, at: start)
                    }
                }
            }
        }
        return Latents(checked: result, shape: shape)
    }

    /// Rows of a picture come in the order of the conditionings: the first is kept, the second moves it.
    private func combine(_ prediction: Span<Float>, ofConditioning index: Int, into result: inout [Float], at start: Int) {
        var target = result.mutableSpan
        if index == 0 {
            for element in prediction.indices { target[start + element] = prediction[element] }
        } else {
            let scale = scales[index - 1]
            for element in prediction.indices {
                let negative = target[start + element]
                target[start + element] = negative + scale * (prediction[element] - negative)
            }
        }
    }

    /// One of several prompts.
    private func add(_ prediction: Span<Float>, scale: Float, over negative: [Float], to result: inout [Float], at start: Int) {
        var target = result.mutableSpan
        let kept = negative.span
        for element in prediction.indices {
            target[start + element] += scale * (prediction[element] - kept[start + element])
        }
    }
}
