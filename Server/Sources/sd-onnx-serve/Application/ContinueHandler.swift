import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// Tells clients that ask before they send a large body, as curl does, to go on: without an answer they wait for a second.
final class ContinueHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias OutboundOut = HTTPResponsePart

    private let mostBody: Int

    init(mostBody: Int) { self.mostBody = mostBody }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .head(let request) = unwrapInboundIn(data), request.headerFields[.expect]?.lowercased() == "100-continue",
            request.headerFields[.contentLength].flatMap({ Int($0) }).map({ $0 <= mostBody }) ?? true
        {
            context.writeAndFlush(wrapOutboundOut(.head(HTTPResponse(status: .continue))), promise: nil)
        }
        context.fireChannelRead(data)
    }
}
