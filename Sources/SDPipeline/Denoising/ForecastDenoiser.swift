import GraphRuntime

/// Leaves out evaluations whose prediction can be told from those before, see ``StepCaching/forecast(threshold:)``.
///
/// Along the timesteps the prediction goes on as the line through the last two that were computed, at times a and b. The error of that is, by
/// Lagrange's remainder, ½ f″ (t − a)(t − b): each computed evaluation tells the curvature from how far the line was off there, and the next
/// is left out while the error that follows from it stays below the threshold. Caches of whole evaluations in other programs (EasyCache of
/// Zhou et al. 2025, "ucache" of stable-diffusion.cpp) decide likewise by a running estimate of the change, and keep the last prediction.
struct ForecastDenoiser: Denoiser {
    private struct Sample: Sendable {
        let time: Double
        let values: Latents
    }

    private var denoiser: any Denoiser
    private let threshold: Double
    /// The run's last evaluation, which is always computed.
    private let lastIndex: Int
    /// Evaluations that begin a new line, since what the model is told changes there.
    private let breaks: Set<Int>
    /// The last two computed, the older first.
    private var samples: [Sample] = []
    /// The error of the line over (t − a)(t − b), relative to the prediction; nil until one was measured.
    private var curvature: Double?
    /// Evaluations left out since the last that was computed.
    private var skipped = 0

    /// Evaluations in a row that are left out at most: a line that was never corrected leaves the picture.
    private static let mostSkipped = 4

    init(_ denoiser: any Denoiser, threshold: Double, lastIndex: Int, breaks: Set<Int>) {
        self.denoiser = denoiser
        self.threshold = threshold
        self.lastIndex = lastIndex
        self.breaks = breaks
    }

    mutating func predict(
        _ latents: Latents, at evaluation: Evaluation, observer: (any RunObserver)?
    ) throws -> Latents {
        let time = Double(evaluation.timestep)
        if breaks.contains(evaluation.index) { (samples, curvature) = ([], nil) }
        if evaluation.index < lastIndex, skipped < Self.mostSkipped, let expected = expectedError(at: time),
            expected <= threshold, let forecast = forecast(at: time)
        {
            skipped += 1
            return forecast
        }
        let computed = try denoiser.predict(latents, at: evaluation, observer: observer)
        measure(computed, at: time)
        samples = samples.suffix(1) + [Sample(time: time, values: computed)]
        skipped = 0
        return computed
    }

    /// (t − a)(t − b), without a sign; nil without two samples at different times.
    private func span(at time: Double) -> Double? {
        guard samples.count == 2, samples[0].time != samples[1].time else { return nil }
        return abs((time - samples[0].time) * (time - samples[1].time))
    }

    private func expectedError(at time: Double) -> Double? {
        guard let span = span(at: time), let curvature else { return nil }
        return curvature * span
    }

    /// The line at a time, with samples of the same shape as the prediction.
    private func forecast(at time: Double) -> Latents? {
        guard samples.count == 2, samples[0].time != samples[1].time else { return nil }
        let (older, newer) = (samples[0], samples[1])
        guard older.values.shape == newer.values.shape else { return nil }
        let slope = Float((time - newer.time) / (newer.time - older.time))
        return newer.values.with(
            newer.values.values.indices.map { index in
                newer.values.values[index] + slope * (newer.values.values[index] - older.values.values[index])
            })
    }

    private mutating func measure(_ computed: Latents, at time: Double) {
        guard let line = forecast(at: time), let span = span(at: time), span > 0 else { return }
        var (error, size) = (0.0, 0.0)
        for (a, b) in zip(line.values, computed.values) {
            error += Double((a - b) * (a - b))
            size += Double(b * b)
        }
        guard size > 0 else { return }
        curvature = (error / size).squareRoot() / span
    }
}
