import Logging
import SDPipeline

/// What all of the APIs work with.
struct Services: Sendable {
    let queue: JobQueue
    let models: ModelStore
    let worker: JobWorker
    let controls: ControlStore
    let upscalers: UpscalerStore
    let limits: ServerLimits
    let bodies: BodyReader
    let credentials: Credentials
    let metrics: ServerMetrics
    let registry: PrometheusRegistry
    let logger: Logger
    /// Names that the server is reached by, where only those are accepted.
    let hosts: Set<String>?
    /// Other sites whose pages may use the server.
    let origins: AllowedOrigins

    var pictures: PictureReader { PictureReader(limits: limits) }

    /// Runs `body`, in whose errors the names that clients know stand for files.
    func withoutPaths<Result>(_ request: GenerationRequest, _ body: () throws -> Result) throws -> Result {
        try upscalers.withoutPaths { try request.withoutControlPaths(body) }
    }
}
