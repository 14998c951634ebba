/// The output of a model that learned its variance: `[N, 2C, H, W]`, of each picture the prediction, then the variance.
enum LearnedVariance {
    /// - Parameters:
    ///   - output: the model's output.
    ///   - sampleCount: the number of the sample's values, `[N, C, H, W]`.
    ///   - batchSize: N.
    /// - Returns: prediction and variance, each `[N, C, H, W]`.
    /// - Throws: ``SchedulerError/invalidStep(scheduler:reason:)`` where the sizes don't fit.
    static func split(
        _ output: [Float], sampleCount: Int, batchSize: Int, scheduler: String
    ) throws -> (prediction: [Float], variance: [Float]) {
        let (expected, overflow) = sampleCount.multipliedReportingOverflow(by: 2)
        guard !overflow, output.count == expected else {
            throw SchedulerError.invalidStep(
                scheduler: scheduler,
                reason: "the model's output has \(output.count) values, expected twice the sample's \(sampleCount)")
        }
        guard sampleCount.isMultiple(of: batchSize) else {
            throw SchedulerError.invalidStep(
                scheduler: scheduler, reason: "\(sampleCount) values can't be shared among \(batchSize) pictures")
        }
        let size = sampleCount / batchSize
        var prediction: [Float] = []
        var variance: [Float] = []
        for picture in 0..<batchSize {
            let start = 2 * size * picture
            prediction += output[start..<start + size]
            variance += output[start + size..<start + 2 * size]
        }
        return (prediction, variance)
    }
}
