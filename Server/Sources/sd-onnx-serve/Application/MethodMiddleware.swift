import HTTPTypes
import Hummingbird
import Synchronization

/// Answers requests with another method than an address takes with 405 and those that it takes, as RFC 9110 (15.5.6) asks for; a router
/// knows no such address.
final class MethodMiddleware: RouterMiddleware {
    typealias Context = ServerContext

    private let routes = Mutex<[(path: [String], method: HTTPRequest.Method)]>([])

    /// Takes note of all addresses, when they are there.
    func learn(_ router: Router<ServerContext>) {
        let found = router.routes.map { (path: Self.parts($0.path.description), method: $0.method) }
        routes.withLock { $0 = found }
    }

    func handle(
        _ request: Request, context: ServerContext, next: (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        let methods = methods(of: Self.parts(request.uri.path))
        guard methods.isEmpty || methods.contains(request.method) else {
            throw APIError(
                .methodNotAllowed,
                "This address takes \(methods.map(\.rawValue).joined(separator: " and ")), found \(request.method.rawValue.prefix(20)).",
                allowed: methods)
        }
        return try await next(request, context)
    }

    /// In the order of their names; none where there is no such address.
    private func methods(of path: [String]) -> [HTTPRequest.Method] {
        let found = routes.withLock { routes in
            routes.filter { route in
                route.path.count == path.count && zip(route.path, path).allSatisfy { $0.hasPrefix("{") || $0 == $1 }
            }
        }
        var methods = Set(found.map(\.method))
        if methods.contains(.get) { methods.insert(.head) }
        return methods.sorted { $0.rawValue < $1.rawValue }
    }

    private static func parts(_ path: String) -> [String] { path.split(separator: "/").map(String.init) }
}
