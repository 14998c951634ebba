import Foundation
import Hummingbird
import HummingbirdCore
import Logging
import ServiceLifecycle

/// The HTTP server with all of its APIs.
struct ServerApplication {
    let services: Services
    let host: String
    let port: Int
    let stopPolicy: JobQueue.StopPolicy

    private func router() -> Router<ServerContext> {
        let router = Router(context: ServerContext.self, options: .autoGenerateHeadEndpoints)
        let methods = MethodMiddleware()
        router.addMiddleware {
            MetricsMiddleware()
            AnswerMiddleware()
            CrossOriginMiddleware(origins: services.origins)
            ErrorMiddleware()
            OriginMiddleware(hosts: services.hosts, origins: services.origins)
            methods
        }
        MonitoringRoutes(services: services).add(to: router)
        OwnRoutes(services: services).add(to: router)
        A1111Routes(services: services).add(to: router)
        OpenAIRoutes(services: services).add(to: router)
        PageRoutes(services: services).add(to: router)
        methods.learn(router)
        return router
    }

    /// Serves until the process is asked to stop.
    ///
    /// - Parameter whenRunning: called with the port.
    func run(whenRunning: @escaping @Sendable (Int) -> Void) async throws {
        let mostBody = services.limits.body
        let configuration = HTTP1Channel.Configuration(
            additionalChannelHandlers: [ContinueHandler(mostBody: mostBody)],
            idleTimeout: .seconds(ServerLimits.idleSeconds),
            httpDecoderConfiguration: .init(
                maxHeaderFieldSize: ServerLimits.headerBytes, maxHeaderListSize: ServerLimits.headerBytes,
                maxHeaderFieldCount: ServerLimits.headerFields))
        let application = Application(
            router: router(), server: .http1(configuration: configuration),
            configuration: ApplicationConfiguration(
                address: .hostname(host, port: port), serverName: "sd-onnx",
                availableConnectionsDelegate: MaximumAvailableConnections(ServerLimits.connections)),
            onServerRunning: { channel in whenRunning(channel.localAddress?.port ?? port) }, logger: services.logger)
        // They are stopped in the reverse order: first no more work is taken, then answers are finished.
        let group = ServiceGroup(
            configuration: {
                var configuration = ServiceGroupConfiguration(
                    services: [
                        .init(service: services.worker), .init(service: application),
                        .init(service: StopListener(queue: services.queue, policy: stopPolicy, logger: services.logger)),
                    ], gracefulShutdownSignals: [.sigterm, .sigint], logger: services.logger)
                configuration.maximumGracefulShutdownDuration = .seconds(600)
                return configuration
            }())
        try await group.run()
    }
}

/// Tells the queue when the process is asked to stop.
private struct StopListener: Service {
    let queue: JobQueue
    let policy: JobQueue.StopPolicy
    let logger: Logger

    func run() async throws {
        try? await gracefulShutdown()
        logger.info("stopping", metadata: ["waiting": "\(queue.waitingCount)", "running": "\(queue.running?.id ?? "none")"])
        queue.stop(policy)
    }
}
