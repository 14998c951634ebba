import Foundation
import GraphRuntime
import Ops
import SDPipeline

/// A real run that is watched, and the file that its figures go to.
final class ProfiledRun {
    let profile = Profile()
    private let file: URL
    private let precision: Precision
    private let clock = ContinuousClock()
    private let start: ContinuousClock.Instant
    private var preparation = BenchReport.Preparation()
    private var begin: ContinuousClock.Instant
    private var cpuSeconds = 0.0

    /// - Throws: where the file couldn't be written.
    init(file path: String, precision: Precision) throws {
        self.precision = precision
        file = URL(fileURLWithPath: path)
        try AtomicFile.check(file)
        start = clock.now
        begin = start
    }

    /// The model has been read; what follows is the run.
    func didLoad() {
        begin = clock.now
        preparation.load = (begin - start).seconds
        cpuSeconds = PipelineParts.cpuSeconds
    }

    /// The plan has been made; what follows is the run.
    func didPlan(_ plan: PlanSummary) {
        (preparation.specialise, preparation.plan) = (plan.specialiseSeconds, plan.planSeconds)
        begin = clock.now
        cpuSeconds = PipelineParts.cpuSeconds
    }

    /// The figures up to now.
    ///
    /// - Parameter isPipeline: whether the parts of a pipeline ran.
    func file(inputs: [String: Tensor], threads: ThreadPool, isPipeline: Bool = false) throws -> OutputFile {
        let seconds = (clock.now - begin).seconds
        let used = PipelineParts.cpuSeconds - cpuSeconds
        let peakBytes = TensorStorage.peakBytes
        var report = BenchReport(
            seconds: [seconds], preparation: preparation, profile: profile, peakBytes: peakBytes,
            peak: try MachinePeak(threads: threads), inputs: inputs, precision: precision)
        if isPipeline { report.parts = PipelineParts(profile, seconds: seconds, cpuSeconds: used, iterations: 1) }
        return (try StandardStreams.json(report), file)
    }
}
