import Foundation
import GraphRuntime

/// The differences between two reports.
struct BenchComparison: Encodable {
    struct Row: Encodable {
        let name: String
        /// Milliseconds in one run; nil where the report doesn't have the operator.
        let beforeMs: Double?
        let afterMs: Double?
        /// After minus before.
        let changeMs: Double
        /// Of the time before; 0 where there is none.
        let changePercent: Double
        /// What the spread of the runs and the machine's own change explain, in milliseconds.
        let noiseMs: Double
        let isNoise: Bool
        /// Whether it is slower by more than the threshold.
        let isFailure: Bool
    }

    /// So many standard errors of a difference are taken for chance: of a thousand rows without a difference one is beyond.
    private static let standardErrors = 3.3

    /// A machine whose own speed differs by more than this isn't the same machine any more: operators slow down by unlike shares
    /// where other work takes processors or caches.
    static let largestMachineChangePercent = 25.0

    let thresholdPercent: Double
    /// How much longer the machine took for the same work, timed between the runs; 0 where a report doesn't say.
    let machineChangePercent: Double
    /// Why no row can be a failure; nil where they are judged.
    let notJudged: String?
    let median: Row
    /// By the size of the difference.
    let operators: [Row]

    var failures: [Row] { ([median] + operators).filter(\.isFailure) }

    init(_ before: BenchCompareCommand.Report, _ after: BenchCompareCommand.Report, threshold: Double) {
        thresholdPercent = threshold
        let (paceA, paceB) = (Statistics(before.paceMs ?? []), Statistics(after.paceMs ?? []))
        let machine = paceA.mean > 0 && paceB.mean > 0 ? paceB.mean / paceA.mean - 1 : 0
        machineChangePercent = 100 * machine
        notJudged =
            if min(before.iterations, after.iterations) < 2 {
                "A report of one run doesn't say how far runs are apart, so nothing is judged: give bench --iterations 2 or more."
            } else if abs(machineChangePercent) > Self.largestMachineChangePercent {
                "The machine's own speed changed by more than \(Int(Self.largestMachineChangePercent)) %, so nothing is judged: "
                    + "measure both again while nothing else runs."
            } else {
                nil
            }
        let canFail = notJudged == nil
        let machineVariance = Self.relativeVariance(paceA) + Self.relativeVariance(paceB)
        func row(
            _ name: String, _ a: Double?, _ b: Double?, _ spreadA: Double?, _ spreadB: Double?, least: (Double?, Double?),
            isJudged: Bool
        ) -> Row {
            let (deviationA, deviationB) = (spreadA ?? 0, spreadB ?? 0)
            let larger = max(a ?? 0, b ?? 0)
            var variance = deviationA * deviationA / Double(before.iterations)
            variance += deviationB * deviationB / Double(after.iterations)
            variance += machineVariance * larger * larger
            let noise = abs(machine) * (a ?? larger) + Self.standardErrors * variance.squareRoot()
            let change = (b ?? 0) - (a ?? 0)
            let percent = (a ?? 0) > 0 ? 100 * change / (a ?? 1) : 0
            let isNoise = abs(change) <= noise
            let isSlower = a == nil ? change > 0 : percent > threshold
            // What slows a program down slows its fastest run too; other work on the machine need not.
            let isSlowerAtBest = least.0.flatMap { first in least.1.map { $0 > first * (1 + threshold / 100) } } ?? true
            return Row(
                name: name, beforeMs: a, afterMs: b, changeMs: change, changePercent: percent, noiseMs: noise, isNoise: isNoise,
                isFailure: canFail && isJudged && !isNoise && isSlower && isSlowerAtBest)
        }
        median = row(
            "median", before.medianMs, after.medianMs, before.stdevMs, after.stdevMs, least: (before.minMs, after.minMs),
            isJudged: true)
        let a = Dictionary(before.operators.map { ($0.type, $0) }, uniquingKeysWith: { first, _ in first })
        let b = Dictionary(after.operators.map { ($0.type, $0) }, uniquingKeysWith: { first, _ in first })
        operators = Set(a.keys).union(b.keys).sorted().map { name in
            let change = (b[name]?.totalMs ?? 0) - (a[name]?.totalMs ?? 0)
            // An operator that one of them lacks was fused or renamed: the median judges that. Small ones waver by a fifth and more.
            return row(
                name, a[name]?.totalMs, b[name]?.totalMs, a[name]?.stdevMs, b[name]?.stdevMs,
                least: (a[name]?.minMs, b[name]?.minMs),
                isJudged: change >= 0.01 * before.medianMs && a[name] != nil && b[name] != nil)
        }
        .sorted { abs($0.changeMs) > abs($1.changeMs) }
    }

    /// The variance of a sample's mean, over the square of the mean; 0 of an empty one.
    private static func relativeVariance(_ sample: Statistics) -> Double {
        guard sample.mean > 0 else { return 0 }
        let share = sample.standardDeviation / sample.mean
        return share * share / Double(sample.count)
    }

    var text: String {
        var table = TerminalTable([
            .init(title: "operator", isText: true, importance: 10), .init(title: "before ms", importance: 5),
            .init(title: "after ms", importance: 6), .init(title: "change ms", importance: 7), .init(title: "%", importance: 8),
            .init(title: "± ms", importance: 4), .init(title: "", isText: true, importance: 9),
        ])
        for row in [median] + operators {
            func figure(_ value: Double?) -> String { value.map { String(format: "%.3f", $0) } ?? "-" }
            table.add(
                [
                    row.name, figure(row.beforeMs), figure(row.afterMs), String(format: "%+.3f", row.changeMs),
                    row.beforeMs == nil || row.afterMs == nil ? "-" : String(format: "%+.1f", row.changePercent),
                    String(format: "%.3f", row.noiseMs),
                    row.isFailure ? "slower" : row.isNoise ? "noise" : row.changeMs < 0 ? "faster" : "",
                ], emphasis: row.isFailure ? .strong : row.isNoise ? .faint : .none)
        }
        guard machineChangePercent != 0 else { return table.text }
        return table.text
            + String(
                format: "\nThe machine took %.1f %% %@ time for the same work in the second report, which counts as noise.",
                abs(machineChangePercent), machineChangePercent < 0 ? "less" : "more")
    }
}
