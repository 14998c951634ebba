import Foundation
import Hummingbird
import SDPipeline

/// AUTOMATIC1111's API.
struct A1111Routes: Sendable {
    let services: Services
    let options = A1111Options()

    func add(to router: Router<ServerContext>) {
        let group = router.group("/sdapi/v1")
            .add(middleware: ErrorMiddleware(render: A1111Error.text))
            .add(middleware: AuthorizationMiddleware(credentials: services.credentials))
        group.post("/txt2img") { try await make($0, $1, isOverPicture: false) }
        group.post("/img2img") { try await make($0, $1, isOverPicture: true) }
        group.get("/progress") { request, _ in
            let skips = request.uri.queryParameters.get("skip_current_image").map { ["true", "1"].contains($0.lowercased()) }
            return try Response.json(A1111Progress(services.queue.running, withImage: skips != true))
        }
        group.post("/interrupt") { _, _ in
            services.queue.running?.interrupt()
            return try Response.json([String: String]())
        }
        group.post("/skip") { _, _ in
            services.queue.running?.skip()
            return Response.bytes([UInt8]("null".utf8), type: "application/json")
        }
        group.get("/options") { _, _ in
            try Response.json(
                A1111OptionsAnswer(
                    values: options.values, model: services.models.chosen, clipSkip: services.models.clipSkip))
        }
        group.post("/options") { request, context in
            try await services.bodies.withBody(of: request, context) { body in
                try options.set(try RequestFields(body), services)
                return Response.bytes([UInt8]("null".utf8), type: "application/json")
            }
        }
        group.post("/png-info") { request, context in
            try await services.bodies.withBody(of: request, context) { body in
                guard let text = try RequestFields(body).longText("image"), !text.isEmpty else {
                    throw APIError(.notFound, "Image not found")
                }
                return try Response.json(A1111PictureInfo(try services.pictures.source(base64: text, field: "image")))
            }
        }
        group.post("/extra-single-image", use: enlarge)
        group.post("/extra-batch-images", use: enlargeAll)
        group.post("/unload-checkpoint") { _, _ in
            guard services.queue.running == nil else { throw APIError(.conflict, "A picture is being made.") }
            services.models.unload()
            return try Response.json([String: String]())
        }
        group.post("/reload-checkpoint") { _, _ in try Response.json([String: String]()) }
        for name in ["refresh-checkpoints", "refresh-vae", "refresh-embeddings"] {
            group.post("/\(name)") { _, _ in Response.bytes([UInt8]("null".utf8), type: "application/json") }
        }
        group.post("/refresh-loras") { _, _ in
            try services.models.adapters.refresh()
            return Response.bytes([UInt8]("null".utf8), type: "application/json")
        }
        addLists(to: group)
        addControls(to: router)
    }

    /// What clients ask of the extension for ControlNets.
    private func addControls(to router: Router<ServerContext>) {
        let group = router.group("/controlnet")
            .add(middleware: ErrorMiddleware(render: A1111Error.text))
            .add(middleware: AuthorizationMiddleware(credentials: services.credentials))
        group.get("/model_list") { _, _ in try Response.json(["model_list": services.controls.names]) }
        group.get("/module_list") { _, _ in try Response.json(["module_list": A1111Controls.modules]) }
        group.get("/version") { _, _ in try Response.json(["version": 2]) }
    }

    private func addLists(to group: RouterGroup<ServerContext>) {
        group.get("/samplers") { _, _ in try Response.json(A1111Sampler.all) }
        group.get("/schedulers") { _, _ in try Response.json(A1111Schedule.all) }
        group.get("/sd-models") { _, _ in try Response.json(services.models.models.map(A1111Model.init)) }
        group.get("/upscalers") { _, _ in try Response.json(services.upscalers.names.map(A1111Upscaler.init)) }
        group.get("/latent-upscale-modes") { _, _ in try Response.json(A1111LatentMode.all) }
        group.get("/embeddings") { _, _ in try Response.json(A1111Embeddings(services.models.chosen.configuration)) }
        group.get("/loras") { _, _ in try Response.json(services.models.adapters.entries.map(A1111LoRA.init)) }
        group.get("/memory") { _, _ in try Response.json(A1111Memory()) }
        group.get("/scripts") { _, _ in try Response.json(A1111Scripts(services.controls)) }
        group.get("/cmd-flags") { _, _ in try Response.json([String: String]()) }
        // There are none of these, and clients that ask for them expect a list.
        let empty = [
            "sd-vae", "sd-modules", "prompt-styles", "script-info", "hypernetworks", "face-restorers", "realesrgan-models",
            "extensions",
        ]
        for name in empty { group.get("/\(name)") { _, _ in try Response.json([String]()) } }
    }

    private func make(_ request: Request, _ context: ServerContext, isOverPicture: Bool) async throws -> Response {
        let waiting = WaitingClient(queue: services.queue)
        return try await services.bodies.withBody(of: request, context, whenGone: waiting.didGo) { body in
            let asked = try A1111Request(try RequestFields(body), isOverPicture: isOverPicture, services)
            let job = try services.queue.submit(try asked.job(services, options: options.values))
            if !asked.overrideSettingsRestoreAfterwards, let settings = asked.overrides.fields {
                try options.set(settings, services)
            }
            let status = await waiting.wait(for: job)
            // Who interrupts it gets what there is.
            if let error = status.error { throw error }
            return try Response.json(A1111PictureAnswer(job, request: asked), headers: WaitingClient.headers(job))
        }
    }

    @Sendable private func enlarge(_ request: Request, _ context: ServerContext) async throws -> Response {
        let waiting = WaitingClient(queue: services.queue)
        return try await services.bodies.withBody(of: request, context, whenGone: waiting.didGo) { body in
            let fields = try RequestFields(body)
            let extras = try A1111Extras(fields, services)
            let picture = try extras.enlargement(try fields.longText("image") ?? "", field: "image")
            let images = try await enlarged([picture], waiting)
            return try Response.json(["image": images[0], "html_info": ""], headers: [.connection: "close"])
        }
    }

    @Sendable private func enlargeAll(_ request: Request, _ context: ServerContext) async throws -> Response {
        struct Answer: Encodable {
            let images: [String]
            let htmlInfo = ""
            private enum CodingKeys: String, CodingKey {
                case images
                case htmlInfo = "html_info"
            }
        }
        let waiting = WaitingClient(queue: services.queue)
        return try await services.bodies.withBody(of: request, context, whenGone: waiting.didGo) { body in
            let fields = try RequestFields(body)
            let extras = try A1111Extras(fields, services)
            let list = try fields.objects("imageList", atMost: services.limits.batch) ?? []
            let pictures = try list.enumerated().map { index, item in
                try extras.enlargement(try item.longText("data") ?? "", field: "imageList.\(index).data")
            }
            return try Response.json(
                Answer(images: try await enlarged(pictures, waiting)), headers: [.connection: "close"])
        }
    }

    /// Larger pictures as PNGs in base64. A network's take their place in the queue; others are made at once.
    private func enlarged(_ pictures: [Enlargement], _ waiting: WaitingClient) async throws -> [String] {
        guard pictures.contains(where: \.needsNetwork) else {
            return try pictures.map { Data(try PNGFile.encode($0.result(services.upscalers))).base64EncodedString() }
        }
        let job = try services.queue.submit(
            JobRequest(enlarging: pictures, model: services.models.chosen, api: "a1111"))
        let status = await waiting.wait(for: job)
        if let error = status.error { throw error }
        guard status.enlarged.count == pictures.count else {
            throw APIError(.conflict, "The enlargement was interrupted.", code: "cancelled")
        }
        return status.enlarged.map { Data($0).base64EncodedString() }
    }
}
