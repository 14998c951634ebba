import Foundation
import HTTPTypes
import Hummingbird
import SDPipeline

/// OpenAI's API for pictures.
struct OpenAIRoutes: Sendable {
    let services: Services

    func add(to router: Router<ServerContext>) {
        let open = router.group().add(middleware: ErrorMiddleware(render: OpenAIError.text))
        // Its address is a secret by itself, as with OpenAI, since pages show pictures without a key.
        open.get("/v1/images/files/{id}/{file}", use: file)
        let group = open.add(middleware: AuthorizationMiddleware(credentials: services.credentials))
        group.post("/v1/images/generations") { request, context in
            try await answer(request, context, event: "image_generation") { body in
                try OpenAIRequest(.json(try RequestFields(body)), services)
            }
        }
        group.post("/v1/images/edits") { request, context in
            let type = request.headers[.contentType] ?? ""
            return try await answer(request, context, event: "image_edit") { body in
                guard type.lowercased().hasPrefix("multipart/form-data") else {
                    throw APIError(.badRequest, "The content type is \"\(type.prefix(60))\", expected multipart/form-data.")
                }
                let form = try MultipartForm(body, contentType: type)
                return try OpenAIRequest(.form(form), services, picture: try OpenAIPicture(form, services.pictures))
            }
        }
        group.get("/v1/models") { _, _ in
            try Response.json(OpenAIModels(data: services.models.models.map(OpenAIModels.Model.init)))
        }
        group.get("/v1/models/{id}") { _, context in
            guard let model = context.parameters.get("id").flatMap({ services.models.model($0) }) else {
                throw APIError(.notFound, "There is no such model.", field: "model", code: "model_not_found")
            }
            return try Response.json(OpenAIModels.Model(model))
        }
    }

    private func answer(
        _ request: Request, _ context: ServerContext, event: String, _ read: @Sendable (ByteBuffer) throws -> OpenAIRequest
    ) async throws -> Response {
        let waiting = WaitingClient(queue: services.queue)
        // Whether an answer is a stream is known when its request is read, and then the connection is watched by that.
        return try await services.bodies.withBody(of: request, context, whenGone: waiting.didGo) { body in
            let asked: OpenAIRequest
            do { asked = try read(body) } catch { throw Self.error(error) }
            let job = try services.queue.submit(asked.job)
            if asked.isStream { return stream(job, asked, context, event: event) }
            let status = await waiting.wait(for: job, keeps: asked.form == .url)
            if let error = status.error { throw error }
            guard status.state == .completed else {
                throw APIError(.conflict, "The request was cancelled.", code: "cancelled")
            }
            return try Response.json(
                OpenAIAnswer(job, asked, origin: Self.origin(request)), headers: WaitingClient.headers(job))
        }
    }

    /// The server's address, as the client knows it: of a proxy in front, which says whether it is reached by TLS.
    private static func origin(_ request: Request) -> String {
        let scheme = HTTPField.Name("X-Forwarded-Proto").flatMap { request.headers[$0] }
        return "\(scheme == "https" ? "https" : "http")://\(request.head.authority ?? "127.0.0.1")"
    }

    /// As there, a field that is wrong is a 400.
    private static func error(_ error: any Error) -> APIError {
        var error = APIError(error)
        if error.status == .unprocessableContent { error.status = .badRequest }
        return error
    }

    private func stream(_ job: Job, _ asked: OpenAIRequest, _ context: ServerContext, event: String) -> Response {
        let queue = services.queue
        let whenGone: @Sendable () -> Void = { if job.request.disconnect == .cancel { _ = queue.cancel(job) } }
        return EventStream.response(context, whenGone: whenGone) { sender in
            var partial = 0
            func send(_ kind: String, _ bytes: [UInt8], size: String, index: Int? = nil, usage: OpenAIAnswer.Usage? = nil)
                async throws
            {
                try await sender.send(
                    "\(event).\(kind)",
                    OpenAIEvent(
                        type: "\(event).\(kind)", base64: Data(bytes).base64EncodedString(), partialIndex: index, size: size,
                        outputFormat: asked.encoding.format.rawValue, usage: usage))
            }
            for await event in JobEvents(job) {
                switch event {
                case nil: try await sender.sendComment()
                case .preview where partial < asked.partialImages:
                    guard let preview = job.status.preview else { continue }
                    try await send(
                        "partial_image", try asked.encoding.encoded(preview), size: "\(preview.width)x\(preview.height)",
                        index: partial)
                    partial += 1
                case .done:
                    if let error = job.status.error { return try await sender.send("error", OpenAIError(error)) }
                    let usage = OpenAIAnswer.Usage(job)
                    for picture in job.status.pictures {
                        try await send(
                            "completed", picture.bytes, size: "\(picture.width)x\(picture.height)", usage: usage)
                    }
                    queue.forget(job)
                    return
                default: break
                }
            }
        }
    }

    @Sendable private func file(_ request: Request, _ context: ServerContext) async throws -> Response {
        let number = context.parameters.get("file").flatMap { Int($0.prefix { $0 != "." }) } ?? 0
        guard let job = context.parameters.get("id").flatMap(services.queue.job), case let pictures = job.status.pictures,
            pictures.indices.contains(number - 1)
        else {
            throw APIError(
                .notFound, "There is no such picture; pictures are kept for \(Int(services.queue.keepSeconds)) seconds.")
        }
        let picture = pictures[number - 1]
        return Response.bytes(picture.bytes, type: picture.encoding.mediaType)
    }
}
