import Foundation
import GraphRuntime
import Ops
import SDPipeline

/// What a benchmark or a profiled run measured. Written as JSON with keys in snake case.
struct BenchReport: Encodable {
    let medianMs: Double
    let meanMs: Double
    let p95Ms: Double
    let minMs: Double
    let maxMs: Double
    let stdevMs: Double
    /// Milliseconds of each run.
    let runMs: [Double]
    /// Reading the file, resolving operators and folding what depends on no input.
    let loadMs: Double
    /// Inferring shapes, folding and fusing for the inputs' shapes.
    let specialiseMs: Double
    /// Placing values and choosing kernels.
    let planMs: Double
    /// The most bytes that tensors held at one time, weights in mapped files left out.
    let peakBytes: Int
    let iterations: Int
    let operators: [Row]
    /// The same by what was asked for, where that is something else.
    let rows: [Row]?
    /// What `rows` are by.
    let by: String
    /// In which numbers products are computed.
    let precision: String
    let interpreter: Interpreter
    let machine: Machine
    /// Type and shape of each input, by name.
    let inputs: [Input]
    /// ``ProgramVersion``.
    let programVersion = ProgramVersion.current
    /// What was timed.
    var model: ModelIdentity?
    /// Milliseconds of a fixed amount of work, measured between the runs: how fast the machine was meanwhile.
    var paceMs: [Double]?
    /// Whether memory was spared.
    var lowMemory: Bool?
    /// Whether the graph was optimised.
    var optimize: Bool?
    /// See `HalfRounding` of GraphRuntime.
    var halfRounding: String?
    /// See `WeightFormat` of GraphRuntime.
    var weights: String?
    /// Of a pipeline.
    var steps: Int?
    /// The parts of a pipeline.
    var parts: PipelineParts?

    /// What a run takes beside its operators.
    struct Interpreter: Encodable {
        /// Milliseconds in one run.
        let totalMs: Double
        /// Of the time of the run, 0 to 1.
        let share: Double
        /// Microseconds for each call of an operator.
        let usPerCall: Double
    }

    struct Machine: Encodable {
        let instructionSet: String
        /// As the system calls it; nil where it doesn't tell.
        let processor: String?
        let threads: Int
        let peakGflops: Double
        let peakGbPerS: Double
    }

    struct Input: Encodable {
        let name: String
        let type: String
    }

    struct Kernel: Encodable {
        let name: String
        /// In one run.
        let calls: Double
    }

    struct Row: Encodable {
        /// The operator; nil in rows by something else.
        let type: String?
        /// What the row is about; nil in rows by operator.
        let name: String?
        /// Calls in one run.
        let calls: Int
        /// Milliseconds in one run.
        let totalMs: Double
        /// Milliseconds of one call.
        let meanMs: Double
        /// The 95th percentile of `totalMs` over the runs.
        let p95Ms: Double
        /// The standard deviation of `totalMs` over the runs.
        let stdevMs: Double
        /// The least `totalMs` of a run.
        let minMs: Double
        /// Of the time of all operators, 0 to 1.
        let share: Double
        /// Floating-point operations in one run, 10⁹; 0 where the operator counts none.
        let gflop: Double
        /// Floating-point operations in a second, 10⁹.
        let gflops: Double
        /// `gflops` over the machine's peak; above 1 where a kernel does fewer operations than the operator states.
        let shareOfPeak: Double
        /// Bytes of inputs and outputs in a second, 10⁹.
        let gbPerS: Double
        /// Bytes in one run.
        let allocatedBytes: Int
        let kernels: [Kernel]
    }

    /// How the model was made ready, in seconds.
    struct Preparation {
        var load = 0.0
        var specialise = 0.0
        var plan = 0.0
    }

    /// - Parameter seconds: of each run, of a pipeline each picture, as the clock outside saw it.
    init(
        seconds: [Double], preparation: Preparation, profile: Profile, peakBytes: Int, peak: MachinePeak,
        inputs: [String: Tensor], precision: Precision, by grouping: ProfileTable.Grouping = .op,
        order: ProfileTable.Order = .time
    ) {
        let statistics = Statistics(seconds.map { 1000 * $0 })
        medianMs = statistics.median
        meanMs = statistics.mean
        p95Ms = statistics.p95
        minMs = statistics.minimum
        maxMs = statistics.maximum
        stdevMs = statistics.standardDeviation
        runMs = seconds.map { 1000 * $0 }
        loadMs = 1000 * preparation.load
        specialiseMs = 1000 * preparation.specialise
        planMs = 1000 * preparation.plan
        self.peakBytes = peakBytes
        iterations = seconds.count
        self.precision = precision.rawValue
        by = grouping.rawValue
        machine = Machine(
            instructionSet: peak.instructionSet.rawValue, processor: Self.processorName, threads: peak.threads,
            peakGflops: peak.gflops,
            peakGbPerS: peak.gbPerS)
        self.inputs = inputs.sorted { $0.key < $1.key }.map { Input(name: $0.key, type: "\($0.value.dtype)\($0.value.shape)") }
        let table = ProfileTable(profile, by: .op, order: order)
        let runs = Double(max(seconds.count, 1))
        operators = table.rows.map { Row($0, table, runs: runs, peak: peak) }
        rows =
            grouping == .op
            ? nil
            : { () -> [Row] in
                let table = ProfileTable(profile, by: grouping, order: order)
                return table.rows.map { Row($0, table, runs: runs, peak: peak) }
            }()
        let between = table.interpreterNanoseconds
        interpreter = Interpreter(
            totalMs: between / 1e6 / runs, share: between / max(table.runNanoseconds, 1),
            usPerCall: between / 1e3 / Double(max(table.calls, 1)))
    }
}

extension BenchReport {
    private static var processorName: String? {
        let lines = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8))?.split(separator: "\n")
        return lines?.first { $0.hasPrefix("model name") }?.split(separator: ":").last
            .map { $0.trimmingCharacters(in: .whitespaces) }
    }
}

extension BenchReport.Row {
    fileprivate init(_ row: ProfileTable.Row, _ table: ProfileTable, runs: Double, peak: MachinePeak) {
        let isOperator = table.grouping == .op
        // A pipeline runs several graphs, as many each time.
        let length = max(row.perRun.count / max(Int(runs), 1), 1)
        let statistics = Statistics(
            stride(from: 0, to: row.perRun.count, by: length).map { first in
                row.perRun[first..<min(first + length, row.perRun.count)].reduce(0, +) / 1e6
            })
        let rate = row.nanoseconds > 0 ? row.flops / row.nanoseconds : 0
        self.init(
            type: isOperator ? row.name : nil, name: isOperator ? nil : row.name,
            calls: Int((Double(row.calls) / runs).rounded()), totalMs: row.nanoseconds / 1e6 / runs,
            meanMs: row.nanoseconds / 1e6 / Double(max(row.calls, 1)), p95Ms: statistics.p95,
            stdevMs: statistics.standardDeviation, minMs: statistics.minimum,
            share: row.nanoseconds / max(table.nodeNanoseconds, 1),
            gflop: row.flops / 1e9 / runs, gflops: rate, shareOfPeak: peak.gflops > 0 ? rate / peak.gflops : 0,
            gbPerS: row.nanoseconds > 0 ? row.bytes / row.nanoseconds : 0,
            allocatedBytes: Int(Double(row.allocatedBytes) / runs),
            kernels: row.kernels.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
                .map { BenchReport.Kernel(name: $0.key, calls: Double($0.value) / runs) })
    }

    /// What the row is called.
    var title: String { type ?? name ?? "" }
}
