import ArgumentParser
import Foundation
import GraphRuntime

/// How many threads to run on.
struct ThreadOptions: ParsableArguments {
    @Option(name: [.short, .long], help: "Threads to run on (default: SD_ONNX_THREADS, or the machine's physical cores).")
    var threads: Int?

    func validate() throws {
        if let threads, !(1...1024).contains(threads) {
            throw ValidationError("--threads is \(threads), expected 1 to 1024.")
        }
        _ = try Self.environmentCount()
    }

    func makePool() throws -> ThreadPool {
        ThreadPool(threadCount: try threads ?? Self.environmentCount() ?? ThreadPool.defaultThreadCount)
    }

    private static func environmentCount() throws -> Int? {
        guard let text = ProcessInfo.processInfo.environment["SD_ONNX_THREADS"], !text.isEmpty else { return nil }
        guard let count = Int(text), (1...1024).contains(count) else {
            throw ValidationError("SD_ONNX_THREADS is \"\(text)\", expected 1 to 1024.")
        }
        return count
    }
}
