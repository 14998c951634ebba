import Metrics
import Synchronization

/// Keeps what is counted and measured, and shows it in Prometheus' text format, version 0.0.4.
final class PrometheusRegistry: MetricsFactory {
    /// Upper bounds of the groups that seconds are counted in.
    private static let bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]

    private enum Kind: String {
        case counter, gauge, histogram
    }

    private struct Series {
        var value = 0.0
        /// Of a histogram: up to each bound, not counting those of the bounds before.
        var groups = [Int](repeating: 0, count: bounds.count + 1)
        var count = 0
    }

    private struct Metric {
        let kind: Kind
        /// By the labels as they are written.
        var series: [String: Series] = [:]
    }

    private let metrics = Mutex<[String: Metric]>([:])

    private func change(_ handle: Handle, _ change: (inout Series) -> Void) {
        metrics.withLock { metrics in
            change(&metrics[handle.name, default: Metric(kind: handle.kind)].series[handle.labels, default: Series()])
        }
    }

    /// One series of a metric.
    private final class Handle: CounterHandler, RecorderHandler, TimerHandler, MeterHandler {
        let registry: PrometheusRegistry
        let name: String
        let labels: String
        let kind: Kind
        /// Whether seconds are meant where nanoseconds are given.
        let scale: Double

        init(_ registry: PrometheusRegistry, _ label: String, _ dimensions: [(String, String)], _ kind: Kind, scale: Double = 1)
        {
            self.registry = registry
            name = Self.name(label)
            labels = dimensions.map { "\(Self.name($0))=\"\(Self.escaped($1))\"" }.joined(separator: ",")
            self.kind = kind
            self.scale = scale
        }

        private static func name(_ label: String) -> String {
            String(label.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == ":") ? $0 : "_" })
        }

        private static func escaped(_ text: String) -> String {
            text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
        }

        func increment(by amount: Int64) { registry.change(self) { $0.value += Double(amount) } }
        func reset() { registry.change(self) { $0 = Series() } }
        func record(_ value: Int64) { record(Double(value)) }
        func recordNanoseconds(_ duration: Int64) { record(Double(duration)) }
        func set(_ value: Int64) { set(Double(value)) }
        func set(_ value: Double) { registry.change(self) { $0.value = value } }
        func increment(by amount: Double) { registry.change(self) { $0.value += amount } }
        func decrement(by amount: Double) { registry.change(self) { $0.value -= amount } }

        func record(_ value: Double) {
            guard kind == .histogram else { return set(value) }
            let seconds = value * scale
            registry.change(self) { series in
                series.value += seconds
                series.count += 1
                series.groups[bounds.firstIndex { seconds <= $0 } ?? bounds.count] += 1
            }
        }
    }

    func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        Handle(self, label, dimensions, .counter)
    }

    func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        Handle(self, label, dimensions, aggregate ? .histogram : .gauge)
    }

    func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        Handle(self, label, dimensions, .gauge)
    }

    func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        Handle(self, label, dimensions, .histogram, scale: 1e-9)
    }

    func destroyCounter(_ handler: any CounterHandler) {}
    func destroyRecorder(_ handler: any RecorderHandler) {}
    func destroyTimer(_ handler: any TimerHandler) {}

    /// All of it, as `/metrics` gives it.
    var text: String {
        var lines: [String] = []
        func line(_ name: String, _ labels: String, _ value: Double) {
            let number = Int(exactly: value).map(String.init) ?? "\(value)"
            lines.append("\(name)\(labels.isEmpty ? "" : "{\(labels)}") \(number)")
        }
        for (name, metric) in metrics.withLock({ $0 }).sorted(by: { $0.key < $1.key }) {
            lines.append("# TYPE \(name) \(metric.kind.rawValue)")
            for (labels, series) in metric.series.sorted(by: { $0.key < $1.key }) {
                guard metric.kind == .histogram else {
                    line(name, labels, series.value)
                    continue
                }
                let prefix = labels.isEmpty ? "" : labels + ","
                var sum = 0
                for (bound, count) in zip(Self.bounds.map { "\($0)" } + ["+Inf"], series.groups) {
                    sum += count
                    line(name + "_bucket", prefix + "le=\"\(bound)\"", Double(sum))
                }
                line(name + "_sum", labels, series.value)
                line(name + "_count", labels, Double(series.count))
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
