import GraphRuntime

/// A picture in the making, after one of its steps.
public struct GenerationStep: Sendable {
    /// Evaluations of the U-Net so far; 0 before the first.
    public let completed: Int
    /// Evaluations of the whole run.
    public let total: Int
    /// The latents, [batchCount, C, h, w].
    public let latents: Latents
    /// The latents at the scale that the model sees, which is that of pictures: ``StableDiffusionPipeline/preview(of:)`` decodes these.
    public let scaledLatents: Latents
    /// The pictures, with the last element of the sequence alone.
    public let result: GenerationResult?
}

/// The steps of a run, computed one by one as they are asked for: first the latents that it starts from, then those after every evaluation of
/// the U-Net, at last the pictures.
///
///     for try await step in pipeline.steps(request) {
///         if let result = step.result { show(result.images) } else { bar.set(step.completed, of: step.total) }
///     }
///
/// The work is done on a thread of its own, not on one of Swift's shared ones, and ends with `CancellationError` between two nodes of a
/// graph once the task that asks is cancelled. Leaving the loop ends the run. Each iterator is a run of its own.
public struct GenerationSteps: AsyncSequence, Sendable {
    public typealias Element = GenerationStep

    let pipeline: StableDiffusionPipeline
    let request: GenerationRequest

    public func makeAsyncIterator() -> Iterator { Iterator(steps: self) }

    /// A run, as far as it was asked for.
    public struct Iterator: AsyncIteratorProtocol {
        private enum Phase {
            case planned
            indirect case running(GenerationRun)
            case over
        }

        private let steps: GenerationSteps
        private let thread = RunThread()
        private var phase = Phase.planned

        init(steps: GenerationSteps) { self.steps = steps }

        /// The next step; nil after the one with the pictures.
        ///
        /// - Throws: ``PipelineError``, ``SchedulerError``, `CancellationError`; the sequence is over then.
        public mutating func next() async throws -> GenerationStep? {
            let (steps, current) = (steps, phase)
            phase = .over
            guard
                case .some(let (step, next)) = try await withTaskExecutorPreference(
                    thread,
                    operation: {
                        try await Self.advance(current, steps)
                    })
            else { return nil }
            phase = next
            return step
        }

        @concurrent private static func advance(
            _ phase: Phase, _ steps: GenerationSteps
        ) async throws -> (GenerationStep, Phase)? {
            try Task.checkCancellation()
            switch phase {
            case .over: return nil
            case .planned:
                let plan = try steps.pipeline.configuration.plan(for: steps.request)
                let run = try GenerationRun(plan, pipeline: steps.pipeline, observer: nil)
                return (try step(run), .running(run))
            case .running(var run):
                if try run.next() { return (try step(run), .running(run)) }
                let result = try run.finish { _ in try Task.checkCancellation() }
                return (try step(run, result: result), .over)
            }
        }

        private static func step(_ run: GenerationRun, result: GenerationResult? = nil) throws -> GenerationStep {
            GenerationStep(
                completed: run.completed, total: run.total, latents: run.latents,
                scaledLatents: try run.scaledLatents, result: result)
        }
    }
}
