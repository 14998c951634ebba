import Hummingbird

/// What watches the server: whether it lives, whether it takes work, and what it counts.
struct MonitoringRoutes: Sendable {
    let services: Services

    func add(to router: Router<ServerContext>) {
        router.get("/health") { _, _ in try Response.json(["status": "ok"]) }
        router.get("/ready") { _, _ in
            let (queue, waiting) = (services.queue, services.queue.waitingCount)
            let reason = queue.isStopped ? "stopping" : waiting >= queue.capacity ? "queue full" : nil
            return try Response.json(
                ["status": reason ?? "ready"], status: reason == nil ? .ok : .serviceUnavailable,
                headers: reason == nil ? [:] : [.retryAfter: "2"])
        }
        let group = router.group()
            .add(middleware: ErrorMiddleware(render: OwnError.text))
            .add(middleware: AuthorizationMiddleware(credentials: services.credentials))
        group.get("/metrics") { _, _ in
            ServerMetrics.now(queue: services.queue, models: services.models)
            return Response.bytes([UInt8](services.registry.text.utf8), type: "text/plain; version=0.0.4; charset=utf-8")
        }
    }
}
