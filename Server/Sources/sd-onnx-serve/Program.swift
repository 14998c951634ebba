import ArgumentParser
import Foundation
import GraphRuntime
import Hummingbird
import Logging
import Metrics
import NIOCore
import SDPipeline

@main
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sd-onnx-serve", abstract: "Makes pictures for programs and people, by HTTP.",
        discussion: """
            Serves a page at /, AUTOMATIC1111's API at /sdapi/v1/, OpenAI's at /v1/images/ and one of its own at /v1/jobs, described by /openapi.json.

            EXAMPLES:
              sd-onnx-serve
              sd-onnx-serve --model stable-diffusion-onnx --model sdxl-onnx --port 8080
              sd-onnx-serve --host 0.0.0.0 --api-key "$(cat key)" --idle-unload 600
            """, version: ProgramVersion.current)

    @Option(
        name: [.short, .long],
        help:
            "A model's folder; may be given several times, the first is the default. (default: SD_ONNX_MODEL, or the embedded emoji model)"
    )
    var model: [String] = []

    @Option(
        help: ArgumentHelp(
            "A folder of LoRAs, which requests name: as <lora:name:0.8> in prompts, or in the field lora.", valueName: "DIR"))
    var loraDir: String?

    @Option(
        help: ArgumentHelp(
            "A folder of ControlNets, which requests name: folders with a model.onnx, and .onnx files.", valueName: "DIR"))
    var controlDir: String?

    @Option(
        help: ArgumentHelp(
            "A folder of super-resolution networks, which requests name: .onnx files, and folders with a model.onnx.",
            valueName: "DIR"))
    var upscalerDir: String?

    @Option(help: "The address to listen at: 127.0.0.1 is reached from this machine alone, 0.0.0.0 from all that reach it.")
    var host = "127.0.0.1"

    @Option(help: "The port to listen at; 0 takes a free one.")
    var port = 7860

    @Option(help: "Requests that may wait; more are answered with 503.")
    var queue = 32

    @Option(help: "Ask for this key (Authorization: Bearer, or X-API-Key). (default: SD_ONNX_API_KEY, or none)")
    var apiKey: String?

    @Option(
        help: ArgumentHelp("Ask for this name and password. (default: SD_ONNX_API_AUTH, or none)", valueName: "user:password"))
    var apiAuth: String?

    @Option(help: ArgumentHelp("Be known by this name, too, where --host is this machine alone.", valueName: "NAME"))
    var allowHost: [String] = []

    @Option(
        help: ArgumentHelp(
            "Let pages of this other site use the server, such as https://example.org; * for all. May be given several times.",
            valueName: "ORIGIN"))
    var allowOrigin: [String] = []

    @Option(help: "The most pixels of a picture.")
    var maxPixels = 2048 * 2048

    @Option(help: "The most steps of a picture.")
    var maxSteps = 150

    @Option(help: "The most pictures of a request.")
    var maxBatch = 16

    @Option(help: "The most bytes of a request.")
    var maxBody = 32 << 20

    @Option(help: ArgumentHelp("Unload the model after so many seconds without work. (default: never)", valueName: "SECONDS"))
    var idleUnload: Double?

    @Option(help: ArgumentHelp("Keep results for clients to fetch.", valueName: "SECONDS"))
    var keep = 3600.0

    @Option(help: "When the process is asked to stop, finish the picture that is being made, or hand it back to its client.")
    var onStop = JobQueue.StopPolicy.finish

    @Option(help: ArgumentHelp("Write every picture into this folder, too.", valueName: "DIR"))
    var outputDir: String?

    @Option(name: [.short, .long], help: "Threads to run on. (default: SD_ONNX_THREADS, or the machine's physical cores)")
    var threads: Int?

    @Flag(name: .customLong("low-memory"), help: "Take less memory and more time.")
    var lowMemory = false

    @Option(help: "Round the factors of products: less memory and, on some processors, less time.")
    var precision = Precision.single

    @Option(help: "Keep weights in memory in 8 bits, or in 4, with scales: less memory, and other pictures.")
    var weights = WeightFormat.stored

    @Option(
        help: ArgumentHelp(
            "Keep weights in this folder in the order in which kernels read them, so that they needn't be packed after the next start.",
            valueName: "DIR"))
    var panelCache: String?

    @Option(help: "Write the log as text or as lines of JSON. (default: text on a terminal, else json)")
    var logFormat: LogFormat?

    @Flag(help: "Log errors alone.")
    var quiet = false

    enum LogFormat: String, ExpressibleByArgument, CaseIterable {
        case text, json
    }

    private static let threadCounts = 1...1024

    func validate() throws {
        func check(_ name: String, _ value: Int, _ range: ClosedRange<Int>) throws {
            guard range.contains(value) else {
                throw ValidationError("--\(name) is \(value), expected \(range.lowerBound) to \(range.upperBound).")
            }
        }
        try check("port", port, 0...65535)
        try check("queue", queue, 1...100_000)
        try check("max-pixels", maxPixels, 64...PictureSizes.largest * PictureSizes.largest)
        try check("max-steps", maxSteps, 1...1000)
        try check("max-batch", maxBatch, 1...4096)
        try check("max-body", maxBody, 1024...1 << 31)
        if let threads { try check("threads", threads, Self.threadCounts) }
        for (name, isGiven) in [("weights", weights != .stored), ("panel-cache", panelCache != nil)] where isGiven && lowMemory
        {
            throw ValidationError(
                "--\(name) keeps weights in memory, and --low-memory reads them from the files in each run: leave out one.")
        }
        if panelCache == "" { throw ValidationError("--panel-cache is empty, expected a folder's name.") }
        guard keep.isFinite, keep >= 0 else { throw ValidationError("--keep is \(keep), expected seconds.") }
        if let idleUnload, !(idleUnload.isFinite && idleUnload > 0) {
            throw ValidationError("--idle-unload is \(idleUnload), expected seconds above 0.")
        }
        if let text = allowOrigin.first(where: { !AllowedOrigins.isOrigin($0) }) {
            throw ValidationError(
                "--allow-origin is \"\(text)\", expected the address of a site without a path, such as https://example.org, or *."
            )
        }
        if apiKey == "" { throw ValidationError("--api-key is empty, expected a key.") }
        if let apiAuth, !apiAuth.contains(":") || apiAuth.hasPrefix(":") {
            throw ValidationError("--api-auth has no user's name and password with a colon between them.")
        }
    }

    func run() async throws {
        let registry = PrometheusRegistry()
        MetricsSystem.bootstrap(registry)
        let isText = logFormat.map { $0 == .text } ?? (isatty(STDERR_FILENO) == 1)
        let level: Logger.Level = quiet ? .error : .info
        LoggingSystem.bootstrap { label in
            var handler: any LogHandler = isText ? StreamLogHandler.standardError(label: label) : JSONLogHandler(label: label)
            handler.logLevel = level
            return handler
        }
        let logger = Logger(label: "sd-onnx")
        let services = try services(registry, logger)
        if services.credentials.isOpen, !Self.isLoopback(host) {
            logger.warning("everyone who reaches this server may use it: --api-key or --api-auth ask for a key")
        }
        OpenFiles.allowMost()
        // Without it a model's file that becomes shorter ends the process.
        try? MappedFileGuard.install()
        try await services.worker.load()
        let application = ServerApplication(services: services, host: host, port: port, stopPolicy: onStop)
        let name = host.contains(":") ? "[\(host)]" : host
        do {
            try await application.run { port in
                try? FileHandle.standardOutput.write(contentsOf: Data("http://\(name):\(port)\n".utf8))
            }
        } catch { throw explained(error) }
    }

    /// Why the server can't listen, for a person.
    private func explained(_ error: any Error) -> any Error {
        if error is SocketAddressError.UnknownHost {
            return PipelineError("--host is \"\(host)\", expected an address of this machine.", kind: .invalidRequest)
        }
        guard let error = error as? IOError else { return error }
        let reason =
            switch error.errnoCode {
            case EADDRINUSE:
                "Port \(port) is in use by another program: --port takes another, and 0 one that is free."
            case EADDRNOTAVAIL: "--host is \"\(host)\", expected an address of this machine."
            case EACCES: "Port \(port) is for administrators alone, expected one from 1024 on."
            default: "The server can't listen at \(host), port \(port): \(error)."
            }
        return PipelineError(reason, kind: .invalidRequest)
    }

    private func services(_ registry: PrometheusRegistry, _ logger: Logger) throws -> Services {
        let environment = ProcessInfo.processInfo.environment
        func stated(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        let count =
            try threads
            ?? stated("SD_ONNX_THREADS").map { text in
                guard let count = Int(text), Self.threadCounts.contains(count) else {
                    throw PipelineError("SD_ONNX_THREADS is \"\(text)\", expected a whole number from 1 to 1024.")
                }
                return count
            } ?? ThreadPool.defaultThreadCount
        let models = try ModelStore(
            folders: try model.isEmpty ? [ModelFolder.defaultURL()] : model.map { URL(fileURLWithPath: $0) },
            adapters: try AdapterStore(folder: loraDir.map { URL(fileURLWithPath: $0) }),
            settings: ModelStore.Settings(
                threads: count, savesMemory: lowMemory, precision: precision, weights: weights,
                panelCache: try panelCache.map { try PanelCache(folder: $0) { logger.warning("\($0)") } },
                limits: ResourceLimits(), report: { logger.warning("\($0)") }))
        let folder = outputDir.map { URL(fileURLWithPath: $0) }
        if let folder { try AtomicFile.checkFolder(folder) }
        let limits = ServerLimits(pixels: maxPixels, steps: maxSteps, batch: maxBatch, queue: queue, body: maxBody)
        let jobs = JobQueue(capacity: queue, keepSeconds: keep)
        let metrics = ServerMetrics()
        let upscalers = try UpscalerStore(
            folder: upscalerDir.map { URL(fileURLWithPath: $0) }, threads: models.threads)
        let own: Set<String> = ["localhost", "127.0.0.1", "[::1]", host.lowercased(), "[\(host.lowercased())]"]
        return Services(
            queue: jobs, models: models,
            worker: JobWorker(
                queue: jobs, models: models, upscalers: upscalers, metrics: metrics, logger: logger, outputFolder: folder,
                idleSeconds: idleUnload),
            controls: try ControlStore(folder: controlDir.map { URL(fileURLWithPath: $0) }), upscalers: upscalers,
            limits: limits, bodies: BodyReader(limits: limits),
            credentials: Credentials(
                key: apiKey ?? stated("SD_ONNX_API_KEY"), userAndPassword: apiAuth ?? stated("SD_ONNX_API_AUTH")),
            metrics: metrics, registry: registry, logger: logger,
            hosts: Self.isLoopback(host) ? own.union(allowHost.map { $0.lowercased() }) : nil,
            origins: AllowedOrigins(allowOrigin))
    }

    private static func isLoopback(_ host: String) -> Bool {
        host == "localhost" || host == "::1" || host.hasPrefix("127.")
    }
}

extension JobQueue.StopPolicy: ExpressibleByArgument {}

extension Precision: @retroactive ExpressibleByArgument {}
extension WeightFormat: @retroactive ExpressibleByArgument {}
