import HTTPTypes
import Hummingbird

/// Lets in those who may use the server.
struct AuthorizationMiddleware: RouterMiddleware {
    typealias Context = ServerContext
    let credentials: Credentials

    func handle(
        _ request: Request, context: ServerContext, next: (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        guard credentials.allow(request.headers) else {
            context.close(after: 5)
            throw APIError(.unauthorized, "The key, or the user's name and password, are missing or wrong.")
        }
        return try await next(request, context)
    }
}

/// Keeps out what pages of other sites make a browser send: requests with another origin than this server, and, where it is reached by
/// this machine's own names alone, with other names.
struct OriginMiddleware: RouterMiddleware {
    typealias Context = ServerContext
    let hosts: Set<String>?
    /// Other sites whose pages may all the same.
    let origins: AllowedOrigins

    func handle(
        _ request: Request, context: ServerContext, next: (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        let authority = request.head.authority?.lowercased() ?? ""
        if let hosts, !hosts.contains(Self.name(authority)) {
            context.close(after: 5)
            throw APIError(
                .forbidden, "This server isn't known by the name of this address; --allow-host adds names.",
                code: "unknown_host")
        }
        if let origin = request.headers[.origin]?.lowercased(), !origins.contains(origin) {
            let place = origin.split(separator: "/", omittingEmptySubsequences: true).last.map(String.init) ?? ""
            guard origin != "null", place == authority else {
                context.close(after: 5)
                throw APIError(.forbidden, "Requests from pages of other sites aren't accepted.", code: "other_origin")
            }
        }
        return try await next(request, context)
    }

    /// The authority without its port.
    private static func name(_ authority: String) -> String {
        if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") { return String(authority[...end]) }
        return String(authority.prefix { $0 != ":" })
    }
}
