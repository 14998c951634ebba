import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdCore

/// Server-sent events, as the HTML standard defines them.
enum EventStream {
    /// An answer that goes on until `work` returns.
    ///
    /// - Parameters:
    ///   - request: whose connection is watched meanwhile; nil where it has been before.
    ///   - whenGone: called where the client closes the connection before.
    ///   - work: sends events by what it is given.
    static func response(
        to request: Request? = nil, _ context: ServerContext, headers: HTTPFields = [:],
        whenGone: @escaping @Sendable () -> Void,
        _ work: @escaping @Sendable (inout Sender) async throws -> Void
    ) -> Response {
        var headers = headers
        headers[.contentType] = "text/event-stream"
        headers[.connection] = "close"
        if let name = HTTPField.Name("X-Accel-Buffering") { headers[name] = "no" }
        return Response(
            status: .ok, headers: headers,
            body: ResponseBody { writer in
                var sender = Sender(writer: writer, context: context)
                do {
                    if let request {
                        try await request.body.consumeWithInboundCloseHandler(
                            { _ in try await work(&sender) }, onInboundClosed: whenGone)
                    } else {
                        try await work(&sender)
                    }
                } catch {
                    whenGone()
                    throw error
                }
                try await sender.writer.finish(nil)
            })
    }

    struct Sender {
        fileprivate var writer: any ResponseBodyWriter
        fileprivate let context: ServerContext

        /// Sends an event with JSON.
        mutating func send(_ event: String, _ value: some Encodable) async throws {
            try await write("event: \(event)\ndata: \(try JSONAnswer.text(value))\n\n")
        }

        /// Tells the client, and what lies between, that the connection is alive.
        mutating func sendComment() async throws { try await write(":\n\n") }

        private mutating func write(_ text: String) async throws {
            let deadline = context.close(after: ServerLimits.writeSeconds)
            defer { deadline.cancel() }
            try await writer.write(ByteBuffer(string: text))
        }
    }
}
