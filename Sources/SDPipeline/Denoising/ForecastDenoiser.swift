import GraphRuntime

/// Leaves out evaluations whose prediction can be told from those before, see ``StepCaching/forecastThreshold``.
///
/// Along λ, half the logarithm of the signal-to-noise ratio, the prediction goes on as the line through the last two that were computed, at a
/// and b. (Solvers extrapolate along it, too: Lu et al. 2022, section 3. Along the timesteps the same lines are further off.) The error of
/// that is, by Lagrange's remainder, ½ f″ (λ − a)(λ − b): each computed evaluation tells the curvature from how far the line was off there,
/// and the next is left out while the error that follows from it stays below the threshold. Caches of whole evaluations in other programs
/// (EasyCache of Zhou et al. 2025, "ucache" of stable-diffusion.cpp) decide likewise by a running estimate of the change, and keep the last
/// prediction.
struct ForecastDenoiser: Denoiser {
    private struct Sample: Sendable {
        let lambda: Double
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
    /// The error of the line over (λ − a)(λ − b), relative to the prediction; nil until one was measured.
    private var curvature: Double?
    /// Evaluations left out since the last that was computed.
    private var skipped = 0
    /// All evaluations left out.
    private var skippedInAll = 0

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
        let lambda = Self.lambda(of: evaluation.noiseLevel)
        if breaks.contains(evaluation.index) { (samples, curvature) = ([], nil) }
        if evaluation.index < lastIndex, skipped < Self.mostSkipped, let expected = expectedError(at: lambda),
            expected <= threshold, let forecast = forecast(at: lambda)
        {
            skipped += 1
            skippedInAll += 1
            return forecast
        }
        var next = evaluation
        next.ordinal -= skippedInAll
        let computed = try denoiser.predict(latents, at: next, observer: observer)
        measure(computed, at: lambda)
        samples = samples.suffix(1) + [Sample(lambda: lambda, values: computed)]
        skipped = 0
        return computed
    }

    /// λ of a level, within what models are trained for: pure noise and pure signal have none.
    private static func lambda(of level: NoiseLevel) -> Double { min(max(Double(level.lambda), -5), 7) }

    /// (λ − a)(λ − b), without a sign; nil without two samples at different places.
    private func span(at lambda: Double) -> Double? {
        guard samples.count == 2, samples[0].lambda != samples[1].lambda else { return nil }
        return abs((lambda - samples[0].lambda) * (lambda - samples[1].lambda))
    }

    private func expectedError(at lambda: Double) -> Double? {
        guard let span = span(at: lambda), let curvature else { return nil }
        return curvature * span
    }

    /// The line at a place, with samples of the same shape as the prediction.
    private func forecast(at lambda: Double) -> Latents? {
        guard samples.count == 2, samples[0].lambda != samples[1].lambda else { return nil }
        let (older, newer) = (samples[0], samples[1])
        guard older.values.shape == newer.values.shape else { return nil }
        let slope = Float((lambda - newer.lambda) / (newer.lambda - older.lambda))
        return newer.values.with(
            newer.values.values.indices.map { index in
                newer.values.values[index] + slope * (newer.values.values[index] - older.values.values[index])
            })
    }

    private mutating func measure(_ computed: Latents, at lambda: Double) {
        guard let line = forecast(at: lambda), let span = span(at: lambda), span > 0 else { return }
        var (error, size) = (0.0, 0.0)
        for (a, b) in zip(line.values, computed.values) {
            error += Double((a - b) * (a - b))
            size += Double(b * b)
        }
        guard size > 0 else { return }
        curvature = (error / size).squareRoot() / span
    }
}
