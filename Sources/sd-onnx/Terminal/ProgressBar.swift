import Foundation

/// Shows on standard error how far a run of steps is: a bar that redraws itself on a terminal, lines where it isn't one.
struct ProgressBar {
    private let title: String
    private let unit: String
    private let clock = ContinuousClock()
    private var start: ContinuousClock.Instant?
    private var lastTenth = 0
    private let isSilent: Bool

    /// - Parameter unit: what is counted, in the singular.
    init(title: String, unit: String = "step", isSilent: Bool) {
        self.title = title
        self.unit = unit
        self.isSilent = isSilent
    }

    mutating func update(completed: Int, total: Int) {
        guard !isSilent else { return }
        let now = clock.now
        if start == nil || completed == 0 { start = now }
        let elapsed = start.map { ($0.duration(to: now)).seconds } ?? 0
        let rate = completed > 0 && elapsed > 0 ? Double(completed) / elapsed : 0
        if StandardStreams.isErrorTerminal {
            StandardStreams.printError(
                "\r\u{1B}[K" + line(completed, total, rate: rate), terminator: completed == total ? "\n" : "")
        } else {
            let tenth = total > 0 ? completed * 10 / total : 10
            if completed == total || tenth > lastTenth {
                lastTenth = tenth
                StandardStreams.printError("\(title) \(completed)/\(total)\(timing(completed, total, rate: rate))")
            }
        }
    }

    private func line(_ completed: Int, _ total: Int, rate: Double) -> String {
        let text = " \(completed)/\(total)\(timing(completed, total, rate: rate))"
        let room = min(StandardStreams.terminalWidth - title.count - text.count - 4, 40)
        guard room >= 5 else { return String((title + text).prefix(max(StandardStreams.terminalWidth - 1, 1))) }
        let filled = total > 0 ? room * completed / total : room
        return "\(title) [" + String(repeating: "#", count: filled) + String(repeating: ".", count: room - filled) + "]" + text
    }

    private func timing(_ completed: Int, _ total: Int, rate: Double) -> String {
        guard rate > 0 else { return "" }
        let speed = rate >= 1 ? String(format: "%.2f \(unit)s/s", rate) : String(format: "%.2f s/\(unit)", 1 / rate)
        let left = Int((Double(total - completed) / rate).rounded(.up))
        return ", \(speed)" + (completed < total ? ", \(Self.clockTime(left)) left" : "")
    }

    private static func clockTime(_ seconds: Int) -> String {
        seconds >= 3600
            ? String(format: "%d:%02d:%02d", seconds / 3600, seconds / 60 % 60, seconds % 60)
            : String(format: "%d:%02d", seconds / 60, seconds % 60)
    }
}
