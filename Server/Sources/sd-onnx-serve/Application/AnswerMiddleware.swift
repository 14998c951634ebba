import HTTPTypes
import Hummingbird
import Logging

/// Adds to every answer what keeps browsers from doing more with it than is meant, sends it in parts that have to arrive in time, and takes a line
/// of every request into the log.
struct AnswerMiddleware: RouterMiddleware {
    typealias Context = ServerContext
    private static let partBytes = 1 << 18

    func handle(
        _ request: Request, context: ServerContext, next: (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        let start = ContinuousClock.now
        var response = try await next(request, context)
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        response.headers[values: HTTPField.Name.xContentTypeOptions] = ["nosniff"]
        if response.headers[.cacheControl] == nil { response.headers[.cacheControl] = "no-store" }
        for (name, value) in Self.fields where response.headers[name] == nil { response.headers[name] = value }
        if let name = HTTPField.Name("X-Process-Time") { response.headers[name] = "\(seconds)" }
        context.logger.info(
            "request",
            metadata: [
                "method": "\(request.method)", "path": "\(request.uri.path.prefix(200))", "status": "\(response.status.code)",
                "milliseconds": "\((seconds * 100_000).rounded() / 100)",
            ])
        response.body = Self.timed(response.body, context)
        return response
    }

    private static let fields: [(HTTPField.Name, String)] = [
        ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"), ("Referrer-Policy", "no-referrer"),
        ("X-Frame-Options", "DENY"), ("Cross-Origin-Resource-Policy", "same-origin"),
    ].compactMap { name, value in HTTPField.Name(name).map { ($0, value) } }

    /// A body whose connection is closed where a client doesn't accept a part of it in time.
    private static func timed(_ body: ResponseBody, _ context: ServerContext) -> ResponseBody {
        guard let length = body.contentLength, length > partBytes else { return body }
        return ResponseBody(contentLength: length) { writer in
            try await body.write(writer.map { buffer in buffer }.timed(context, partBytes: partBytes))
        }
    }
}

/// Writes parts of a bounded size, and closes the connection where one isn't accepted in time.
private struct TimedWriter<Parent: ResponseBodyWriter>: ResponseBodyWriter {
    var parent: Parent
    let context: ServerContext
    let partBytes: Int

    mutating func write(_ buffer: ByteBuffer) async throws {
        var rest = buffer
        while let part = rest.readSlice(length: min(rest.readableBytes, partBytes)), part.readableBytes > 0 {
            let deadline = context.close(after: ServerLimits.writeSeconds)
            defer { deadline.cancel() }
            try await parent.write(part)
        }
    }

    consuming func finish(_ trailingHeaders: HTTPFields?) async throws { try await parent.finish(trailingHeaders) }
}

extension ResponseBodyWriter {
    fileprivate consuming func timed(_ context: ServerContext, partBytes: Int) -> some ResponseBodyWriter {
        TimedWriter(parent: self, context: context, partBytes: partBytes)
    }
}
