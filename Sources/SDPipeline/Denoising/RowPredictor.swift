import GraphRuntime

/// Predicts for rows of noisy latents, each with a conditioning of its own: a U-Net, with what takes part in its prediction. A value, with
/// whatever it keeps of its rows from one evaluation to the next.
protocol RowPredictor: Sendable {
    /// The batch that the exports fixed; nil where any will do.
    var fixedBatch: Int? { get }

    /// What rows are conditioned on, as the graphs take it: made once for all steps.
    ///
    /// - Parameter areNegative: of each row, whether its prediction is one to keep away from.
    func prepare(_ rows: [Conditioning], areNegative: [Bool]) throws -> PreparedRows

    /// The prediction for rows, float32 [rows, C, h, w].
    ///
    /// - Parameters:
    ///   - latents: the values of each row, [C, h, w].
    ///   - shape: [rows, C, h, w].
    ///   - rows: from ``prepare(_:areNegative:)``.
    /// - Throws: ``PipelineError`` where a graph fails, `CancellationError` where the task is cancelled.
    mutating func predict(
        _ latents: [ArraySlice<Float>], shape: [Int], at evaluation: Evaluation, rows: PreparedRows,
        observer: (any RunObserver)?
    ) throws -> Tensor
}

/// What rows are conditioned on, as graphs take it.
struct PreparedRows: Sendable {
    /// The U-Net's inputs.
    let inputs: [String: Tensor]
    /// Those of each ControlNet.
    var controls: [ControlledUNet.Rows] = []
}

extension UNet: RowPredictor {
    func prepare(_ rows: [Conditioning], areNegative: [Bool]) throws -> PreparedRows {
        PreparedRows(inputs: try tensors(of: rows))
    }

    mutating func predict(
        _ latents: [ArraySlice<Float>], shape: [Int], at evaluation: Evaluation, rows: PreparedRows,
        observer: (any RunObserver)?
    ) throws -> Tensor {
        try predict(latents, shape: shape, at: evaluation, further: rows.inputs, observer: observer)
    }
}

/// A U-Net with FreeU's factors.
struct FreeUNet: RowPredictor {
    var predictor: any RowPredictor
    let factors: Tensor

    var fixedBatch: Int? { predictor.fixedBatch }

    func prepare(_ rows: [Conditioning], areNegative: [Bool]) throws -> PreparedRows {
        let prepared = try predictor.prepare(rows, areNegative: areNegative)
        return PreparedRows(
            inputs: prepared.inputs.merging([FreeUFilter.inputName: factors]) { $1 }, controls: prepared.controls)
    }

    mutating func predict(
        _ latents: [ArraySlice<Float>], shape: [Int], at evaluation: Evaluation, rows: PreparedRows,
        observer: (any RunObserver)?
    ) throws -> Tensor {
        try predictor.predict(latents, shape: shape, at: evaluation, rows: rows, observer: observer)
    }
}
