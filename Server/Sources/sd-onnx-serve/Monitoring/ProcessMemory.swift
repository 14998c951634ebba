import Foundation
import GraphRuntime

/// Memory of this process, and what it could have, in bytes; 0 where the system doesn't say.
enum ProcessMemory {
    /// Memory of this process that is in use, pages of mapped weights among it.
    static var resident: Int { kilobytes("/proc/self/status", "VmRSS:") }
    static var total: Int { AvailableMemory.total }
    static var available: Int { kilobytes("/proc/meminfo", "MemAvailable:") }

    private static func kilobytes(_ file: String, _ key: String) -> Int {
        guard let text = try? String(contentsOfFile: file, encoding: .utf8),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix(key) }),
            let number = line.split(whereSeparator: { " \t".contains($0) }).dropFirst().first.flatMap({ Int($0) })
        else { return 0 }
        return number << 10
    }
}
