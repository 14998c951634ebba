import Logging
import SDPipeline

/// What all of the APIs work with.
struct Services: Sendable {
    let queue: JobQueue
    let models: ModelStore
    let worker: JobWorker
    let controls: ControlStore
    let limits: ServerLimits
    let bodies: BodyReader
    let credentials: Credentials
    let metrics: ServerMetrics
    let registry: PrometheusRegistry
    let logger: Logger
    /// Names that the server is reached by, where only those are accepted.
    let hosts: Set<String>?

    var pictures: PictureReader { PictureReader(limits: limits) }
}
