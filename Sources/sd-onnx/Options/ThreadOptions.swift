import ArgumentParser
import Foundation
import GraphRuntime

/// How many threads to run on.
struct ThreadOptions: ParsableArguments {
    private static let range = 1...1024

    @Option(
        name: [.short, .long], parsing: .unconditional,
        help: "Threads to run on. (default: SD_ONNX_THREADS, or the machine's physical cores)",
        transform: OptionValues.whole(range))
    var threads: Int?

    func validate() throws {
        _ = try Self.environmentCount()
        try Self.checkInstructionSet()
    }

    func makePool() throws -> ThreadPool {
        ThreadPool(threadCount: try threads ?? Self.environmentCount() ?? ThreadPool.defaultThreadCount)
    }

    private static func environmentCount() throws -> Int? {
        guard let text = ProcessInfo.processInfo.environment["SD_ONNX_THREADS"], !text.isEmpty else { return nil }
        guard let count = Int(text), range.contains(count) else {
            throw ValidationError(
                "SD_ONNX_THREADS is \"\(text)\", expected a whole number from \(range.lowerBound) to \(range.upperBound).")
        }
        return count
    }

    /// The kernels read the variable themselves, and take a name that they don't know for none.
    private static func checkInstructionSet() throws {
        let known = ["avx512", "avx2", "plain"].flatMap { [$0, $0 + "+bf16"] } + ["avx512+amx", "avx512+vnni", "avx2+vnni"]
        guard let name = ProcessInfo.processInfo.environment["SD_ONNX_CPU"], !name.isEmpty, !known.contains(name) else {
            return
        }
        throw ValidationError(
            "SD_ONNX_CPU is \"\(name)\", expected avx512, avx2 or plain, or one of them with +bf16, avx512+amx, avx512+vnni or avx2+vnni."
        )
    }
}
