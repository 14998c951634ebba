import Foundation
import SDPipeline

/// How full the queue is.
struct QueueAnswer: Encodable {
    let waiting: Int
    let running: Int
    let capacity: Int

    init(_ queue: JobQueue) {
        waiting = queue.waitingCount
        running = queue.running == nil ? 0 : 1
        capacity = queue.capacity
    }
}

/// A step of a job.
struct StepAnswer: Encodable {
    let step: Int
    let steps: Int
    let progress: Double
    let eta: Double?

    init(_ job: Job) {
        let status = job.status
        (step, steps, progress, eta) = (status.step, status.steps, job.progress, job.remainingSeconds)
    }

    private enum CodingKeys: String, CodingKey {
        case step, steps, progress
        case eta = "eta_seconds"
    }
}

/// The picture in the making.
struct PreviewAnswer: Encodable {
    let step: Int
    let image: String

    init?(_ job: Job) throws {
        let status = job.status
        guard let picture = status.preview else { return nil }
        step = status.step
        image = "data:image/png;base64," + Data(try PNGFile.encode(picture)).base64EncodedString()
    }
}

/// How many tokens a prompt has.
struct TokensAnswer: Encodable {
    /// Those of the text itself.
    let tokens: Int
    /// What the text encoder takes at once.
    let limit: Int
    /// How often it runs.
    let chunks: Int

    /// Tags of LoRAs are none.
    ///
    /// - Throws: ``APIError`` where the prompt's grammar can't be read.
    init(_ prompt: String, _ configuration: PipelineConfiguration) throws {
        limit = configuration.tokenLimit - 2
        let prompt = (try? LoRATag.taken(from: prompt).prompt) ?? prompt
        let stages = try configuration.reading(of: prompt, syntax: .a1111).parts.flatMap(\.stages)
        let encodings = stages.compactMap(\.encodings.first)
        tokens = encodings.map { $0.chunks.reduce(0) { $0 + $1.length } }.max() ?? 0
        chunks = encodings.map(\.chunks.count).max() ?? 1
    }
}

/// What a picture says about how it was made.
struct SettingsAnswer: Encodable {
    let width: Int
    let height: Int
    /// As AUTOMATIC1111's web interface writes them; nil where the picture has none.
    let parameters: String?
    /// This program's own record, where the picture has one.
    let record: GenerationRecord?
    /// What is understood of it, whichever program made the picture.
    let settings: PictureSettings?
    /// The program.
    let source: PictureMetadata.Source?

    init(_ picture: PictureSource) {
        (width, height) = (picture.width, picture.height)
        // What is damaged says nothing.
        let metadata = (try? PictureMetadata(picture.bytes)) ?? nil
        parameters = metadata?.texts.first { $0.key == "parameters" }?.text
        (record, settings, source) = (metadata?.record, metadata?.settings, metadata?.source)
    }
}
