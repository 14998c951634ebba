import Hummingbird

/// Writes errors in an API's own form.
struct ErrorMiddleware: RouterMiddleware {
    typealias Context = ServerContext
    /// The error's text at an address.
    private let render: @Sendable (APIError, String) -> String

    init(render: @escaping @Sendable (APIError) -> String) { self.render = { error, _ in render(error) } }

    /// In the form of the API that an address belongs to, for those that no API has.
    init() {
        render = { error, path in
            if path.hasPrefix("/sdapi/") || path.hasPrefix("/controlnet/") { return A1111Error.text(error) }
            let isOpenAI = ["/v1/images", "/v1/models"].contains { path == $0 || path.hasPrefix($0 + "/") }
            return isOpenAI ? OpenAIError.text(error) : OwnError.text(error)
        }
    }

    func handle(
        _ request: Request, context: ServerContext, next: (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        do { return try await next(request, context) } catch {
            let error = APIError(error)
            if error.status.code >= 500, error.status != .serviceUnavailable {
                context.logger.error("request failed", metadata: ["error": "\(error.message)", "path": "\(request.uri.path)"])
            }
            return Response(
                status: error.status, headers: error.headers,
                body: .init(byteBuffer: ByteBuffer(string: render(error, request.uri.path))))
        }
    }
}
