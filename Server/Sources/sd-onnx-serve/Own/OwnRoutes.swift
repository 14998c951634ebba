import Foundation
import Hummingbird
import SDPipeline

/// The own API, which `/openapi.json` describes.
struct OwnRoutes: Sendable {
    let services: Services

    func add(to router: Router<ServerContext>) {
        let group = router.group()
            .add(middleware: ErrorMiddleware(render: OwnError.text))
            .add(middleware: AuthorizationMiddleware(credentials: services.credentials))
        group.post("/v1/jobs", use: create)
        group.get("/v1/jobs/{id}") { _, context in try Response.json(JobAnswer(try job(context), queue: services.queue)) }
        group.delete("/v1/jobs/{id}", use: delete)
        group.post("/v1/jobs/{id}/cancel", use: cancel)
        group.get("/v1/jobs/{id}/events", use: events)
        group.get("/v1/jobs/{id}/pictures/{number}", use: picture)
        group.get("/v1/queue") { _, _ in try Response.json(QueueAnswer(services.queue)) }
        group.get("/v1/info") { _, _ in try Response.json(InfoAnswer(services)) }
        group.post("/v1/tokens", use: tokens)
        group.post("/v1/settings", use: settings)
    }

    @Sendable private func create(_ request: Request, _ context: ServerContext) async throws -> Response {
        try await services.bodies.withBody(of: request, context) { body in
            let job = try services.queue.submit(try OwnRequest.job(try RequestFields(body), services))
            var headers: HTTPFields = [:]
            headers[.location] = "/v1/jobs/\(job.id)"
            return try Response.json(JobAnswer(job, queue: services.queue), status: .accepted, headers: headers)
        }
    }

    private func job(_ context: ServerContext) throws -> Job {
        guard let id = context.parameters.get("id"), let job = services.queue.job(id) else {
            throw APIError(.notFound, "There is no such job; results are kept for \(Int(services.queue.keepSeconds)) seconds.")
        }
        return job
    }

    @Sendable private func delete(_ request: Request, _ context: ServerContext) async throws -> Response {
        let job = try job(context)
        _ = services.queue.cancel(job)
        services.queue.forget(job)
        return Response(status: .noContent)
    }

    @Sendable private func cancel(_ request: Request, _ context: ServerContext) async throws -> Response {
        let job = try job(context)
        guard services.queue.cancel(job) else { throw APIError(.conflict, "The job is over: it is \(job.state.rawValue).") }
        await job.wait()
        return try Response.json(JobAnswer(job, queue: services.queue))
    }

    @Sendable private func picture(_ request: Request, _ context: ServerContext) async throws -> Response {
        let pictures = try job(context).status.pictures
        guard let number = context.parameters.get("number", as: Int.self), (1...max(pictures.count, 1)).contains(number),
            !pictures.isEmpty
        else { throw APIError(.notFound, "The job has \(pictures.count) pictures so far.") }
        let picture = pictures[number - 1]
        return Response.bytes(picture.bytes, type: picture.encoding.mediaType)
    }

    @Sendable private func events(_ request: Request, _ context: ServerContext) async throws -> Response {
        let (job, queue) = (try job(context), services.queue)
        let whenGone: @Sendable () -> Void = { if job.request.disconnect == .cancel { _ = queue.cancel(job) } }
        return EventStream.response(to: request, context, whenGone: whenGone) { sender in
            try await sender.send("state", JobAnswer(job, queue: queue))
            for await event in JobEvents(job) {
                switch event {
                case nil: try await sender.sendComment()
                case .queued: try await sender.send("state", JobAnswer(job, queue: queue))
                case .step: try await sender.send("step", StepAnswer(job))
                case .preview: if let preview = try PreviewAnswer(job) { try await sender.send("preview", preview) }
                case .done:
                    try await sender.send("done", JobAnswer(job, queue: queue))
                    return
                }
            }
        }
    }

    @Sendable private func tokens(_ request: Request, _ context: ServerContext) async throws -> Response {
        try await services.bodies.withBody(of: request, context) { body in
            let fields = try RequestFields(body)
            let text = try fields.text("prompt", atMost: services.limits.prompt) ?? ""
            let model = try fields.text("model").flatMap { services.models.model($0) } ?? services.models.chosen
            return try Response.json(try TokensAnswer(text, model.configuration))
        }
    }

    /// What a picture says about how it was made.
    @Sendable private func settings(_ request: Request, _ context: ServerContext) async throws -> Response {
        try await services.bodies.withBody(of: request, context) { body in
            guard let text = try RequestFields(body).longText("image") else {
                throw APIError.invalid("image", "image is missing, expected a picture in base64.")
            }
            let source = try services.pictures.source(base64: text, field: "image")
            return try Response.json(SettingsAnswer(source))
        }
    }
}

/// The events of a job, and nil where there was none for a while.
struct JobEvents: AsyncSequence {
    private let job: Job
    private static let quietSeconds = 10.0

    init(_ job: Job) { self.job = job }

    func makeAsyncIterator() -> AsyncStream<JobEvent?>.Iterator {
        let (stream, continuation) = AsyncStream.makeStream(of: JobEvent?.self, bufferingPolicy: .bufferingNewest(8))
        let events = job.events()
        let forwarding = Task {
            for await event in events { continuation.yield(event) }
            continuation.finish()
        }
        let heart = Task {
            while !Task.isCancelled {
                try await Task.sleep(for: .seconds(Self.quietSeconds))
                continuation.yield(nil)
            }
        }
        continuation.onTermination = { _ in
            forwarding.cancel()
            heart.cancel()
        }
        return stream.makeAsyncIterator()
    }
}
