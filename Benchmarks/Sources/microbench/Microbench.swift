import ArgumentParser
import Foundation
import GraphRuntime

extension Precision: @retroactive ExpressibleByArgument {}

@main
struct Microbench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "microbench", abstract: "Times single kernels beside what the machine can do at most.",
        discussion: """
            GFLOP/s count the operations that an operator states: a convolution that does fewer goes beyond the peak. GB/s count its \
            inputs and outputs: those that stay in a cache go beyond the memory. SD_ONNX_CPU chooses the instruction set.
            """)

    @Option(help: ArgumentHelp("Only benchmarks whose name has this in it, in any case.", valueName: "TEXT"))
    var filter: String?

    @Option(name: [.short, .long], help: "Threads. (default: the machine's physical cores)")
    var threads: Int?

    @Option(help: ArgumentHelp("The numbers that products are computed in. (default: fp32)", valueName: "fp32|bf16"))
    var precision = Precision.single

    @Option(help: ArgumentHelp("Write the figures as JSON.", valueName: "FILE"))
    var json: String?

    @Flag(help: "Run everything once, to see that it works; the figures mean little.")
    var quick = false

    func validate() throws {
        if let threads, !(1...1024).contains(threads) {
            throw ValidationError("--threads is \(threads), expected 1 to 1024.")
        }
    }

    private struct Report: Encodable {
        let machine: Machine
        let precision: String
        var kernels: [Benchmark.Row] = []
        var interpreter: InterpreterBenchmark?
    }

    private func isWanted(_ name: String) -> Bool { filter.map { name.localizedCaseInsensitiveContains($0) } ?? true }

    func run() throws {
        let wanted = Benchmarks.all.filter { isWanted($0.name) }
        let hasInterpreter = isWanted(InterpreterBenchmark.name)
        guard !wanted.isEmpty || hasInterpreter else {
            throw ValidationError("No benchmark's name has \"\(filter ?? "")\" in it.")
        }
        let pool = ThreadPool(threadCount: threads ?? ThreadPool.defaultThreadCount)
        var report = Report(machine: try Machine(threads: pool, isQuick: quick), precision: precision.rawValue)
        let machine = report.machine
        print(
            "\(machine.instructionSet), \(machine.threads) threads; peak "
                + String(format: "%.1f GFLOP/s, %.1f GB/s", machine.peakGflops, machine.peakGbPerS))
        if !wanted.isEmpty { print(Self.line("kernel", "ms", "GFLOP/s", "of peak", "GB/s", "of peak")) }
        for benchmark in wanted {
            let row = try benchmark.run(machine, threads: pool, precision: precision, isQuick: quick)
            print(
                Self.line(
                    row.name, Self.number(row.milliseconds, 3), Self.number(row.gflops, 1), Self.percent(row.shareOfPeakGflops),
                    Self.number(row.gbPerS, 1), Self.percent(row.shareOfPeakGbPerS)))
            report.kernels.append(row)
        }
        if hasInterpreter {
            let figures = try InterpreterBenchmark(threads: pool, isQuick: quick)
            print(
                String(
                    format: "interpreter: %.2f µs a node of one element, %.2f µs of them beside the kernel", figures.usPerNode,
                    figures.usPerNodeBesideKernels))
            report.interpreter = figures
        }
        if let json {
            let encoder = JSONEncoder()
            encoder.keyEncodingStrategy = .convertToSnakeCase
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            try encoder.encode(report).write(to: URL(fileURLWithPath: json), options: .atomic)
        }
    }

    private static func number(_ value: Double?, _ digits: Int) -> String {
        value.map { String(format: "%.\(digits)f", $0) } ?? "-"
    }

    private static func percent(_ share: Double?) -> String { share.map { String(format: "%.0f %%", 100 * $0) } ?? "-" }

    private static func line(_ name: String, _ columns: String...) -> String {
        func padding(_ text: String, _ width: Int) -> String { String(repeating: " ", count: max(width - text.count, 0)) }
        return name + padding(name, 52) + columns.map { padding($0, 10) + $0 }.joined()
    }
}
