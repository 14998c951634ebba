import HTTPTypes
import Hummingbird

/// The origins of pages, such as `https://example.org`, that may use the server.
struct AllowedOrigins: Sendable {
    private let origins: Set<String>
    /// Stands for all.
    private static let any = "*"

    /// - Parameter origins: as `--allow-origin` names them.
    init(_ origins: [String]) { self.origins = Set(origins.map { $0.lowercased() }) }

    func contains(_ origin: String) -> Bool { origins.contains(Self.any) || origins.contains(origin.lowercased()) }

    /// Whether a text is an origin: a scheme, a host and perhaps a port, without a path.
    static func isOrigin(_ text: String) -> Bool {
        text == any || text.wholeMatch(of: /[a-z][a-z0-9+.-]*:\/\/[^\/\s?#@]+/.ignoresCase()) != nil
    }
}

/// Tells browsers which pages of other sites may use the server, by the CORS protocol (https://fetch.spec.whatwg.org/#http-cors-protocol).
/// Without any such pages it says nothing.
struct CrossOriginMiddleware: RouterMiddleware {
    typealias Context = ServerContext
    let origins: AllowedOrigins

    func handle(
        _ request: Request, context: ServerContext, next: (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        guard let origin = request.headers[.origin], origins.contains(origin) else { return try await next(request, context) }
        var response: Response
        if request.method == .options, request.headers[.accessControlRequestMethod] != nil {
            response = Response(status: .noContent)
            response.headers[.accessControlAllowMethods] = "GET, HEAD, POST, DELETE"
            response.headers[.accessControlAllowHeaders] = "Authorization, Content-Type, X-API-Key"
            response.headers[.accessControlMaxAge] = "600"
        } else {
            response = try await next(request, context)
            response.headers[.accessControlExposeHeaders] = "Location, Retry-After, X-Job-Id"
        }
        response.headers[.accessControlAllowOrigin] = origin
        response.headers[.vary] = "Origin"
        if let name = HTTPField.Name("Cross-Origin-Resource-Policy") { response.headers[name] = "cross-origin" }
        return response
    }
}
