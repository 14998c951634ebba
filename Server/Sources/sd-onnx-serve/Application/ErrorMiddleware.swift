import Hummingbird

/// Writes errors in an API's own form.
struct ErrorMiddleware: RouterMiddleware {
    typealias Context = ServerContext
    let render: @Sendable (APIError) -> String

    func handle(
        _ request: Request, context: ServerContext, next: (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        do { return try await next(request, context) } catch {
            let error = APIError(error)
            if error.status.code >= 500, error.status != .serviceUnavailable {
                context.logger.error("request failed", metadata: ["error": "\(error.message)", "path": "\(request.uri.path)"])
            }
            return Response(
                status: error.status, headers: error.headers, body: .init(byteBuffer: ByteBuffer(string: render(error))))
        }
    }
}
