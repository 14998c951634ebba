import Hummingbird
import NIOCore
import Synchronization

/// Reads bodies of requests within limits of size and time, and of what all of them take together.
final class BodyReader: Sendable {
    private let limits: ServerLimits
    /// Bytes that the bodies being worked on were promised.
    private let promised = Mutex(0)

    init(limits: ServerLimits) { self.limits = limits }

    /// Gives a request's body to `work`.
    ///
    /// - Parameter whenGone: called where the client closes the connection before `work` ends. Such connections end with the answer.
    /// - Throws: ``APIError``: 413 for a body that is too large, 408 for one that takes too long, 503 where too many are read at once.
    func withBody<Result: Sendable>(
        of request: Request, _ context: ServerContext, whenGone: (@Sendable () -> Void)? = nil,
        _ work: (ByteBuffer) async throws -> Result
    ) async throws -> Result {
        var expected = 0
        if let text = request.headers[.contentLength] {
            guard let length = Int(text), length >= 0 else { throw APIError(.badRequest, "The content length is no number.") }
            expected = length
        }
        guard expected <= limits.body else {
            // What still comes is thrown away for a moment, so that the client reads the answer.
            context.close(after: 5)
            throw tooLarge
        }
        let promise = expected == 0 ? limits.body / 8 : expected
        let isTaken = promised.withLock { bytes in
            guard bytes + promise <= limits.bodies else { return false }
            bytes += promise
            return true
        }
        guard isTaken else {
            context.close(after: 5)
            throw APIError(.serviceUnavailable, "Too much is being sent to this server at once.", code: "busy", retryAfter: 2)
        }
        defer { promised.withLock { $0 -= promise } }
        guard let whenGone else { return try await work(try await collect(request.body, context)) }
        do {
            return try await request.body.consumeWithInboundCloseHandler(
                { body in try await work(try await collect(body, context)) }, onInboundClosed: whenGone)
        } catch {
            var error = APIError(error)
            error.endsConnection = true
            throw error
        }
    }

    private var tooLarge: APIError {
        APIError(.contentTooLarge, "The request has more than \(limits.body) bytes.")
    }

    private func collect(_ body: RequestBody, _ context: ServerContext) async throws -> ByteBuffer {
        let deadline = context.close(after: ServerLimits.bodySeconds)
        defer { deadline.cancel() }
        var result = ByteBuffer()
        var parts = body.makeAsyncIterator()
        while let part = try await next(&parts, context) {
            guard result.readableBytes + part.readableBytes <= limits.body else {
                context.close(after: 5)
                throw tooLarge
            }
            result.writeImmutableBuffer(part)
        }
        return result
    }

    private func next(_ parts: inout RequestBody.AsyncIterator, _ context: ServerContext) async throws -> ByteBuffer? {
        do { return try await parts.next() } catch is CancellationError { throw CancellationError() } catch {
            context.close(after: 5)
            throw APIError(.badRequest, "The request's body is no HTTP.", code: "broken_body")
        }
    }
}
