import Foundation

/// What Linux's control groups leave this process of the machine: containers, systemd services and batch systems set such limits.
///
/// A limit of a group holds for all groups within it, so that the tightest on the way from the root counts. Both versions are read: the
/// unified hierarchy (`memory.max`, `cpu.max`; the kernel's Documentation/admin-guide/cgroup-v2.rst) and the hierarchies of single
/// controllers (`memory.limit_in_bytes`, `cpu.cfs_quota_us`; Documentation/admin-guide/cgroup-v1).
package struct ControlGroup: Sendable, Equatable {
    /// Bytes that the process may have, with the others of its group; nil for no limit.
    package private(set) var memory: Int?
    /// Processors that the process may keep busy, on average, with the others of its group: a fraction is one for a part of the time; nil
    /// for no limit.
    package private(set) var processors: Double?

    /// Of this process, without limits where there are no control groups.
    static let current = ControlGroup(hierarchies: "/sys/fs/cgroup", memberships: "/proc/self/cgroup")

    /// - Parameters:
    ///   - hierarchies: the folder that they are mounted in.
    ///   - memberships: a file with a line `number:controllers:path` for each of them.
    package init(hierarchies: String, memberships: String) {
        guard let lines = try? String(contentsOfFile: memberships, encoding: .utf8) else { return }
        for line in lines.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            if parts[1].isEmpty {
                for mount in ["", "/unified"] {
                    for group in Self.groups(mount: hierarchies + mount, path: parts[2]) { readUnified(group) }
                }
            } else {
                for controller in parts[1].split(separator: ",") where controller == "memory" || controller == "cpu" {
                    // Of controllers that are mounted together, each has a link of its own name.
                    for group in Self.groups(mount: "\(hierarchies)/\(controller)", path: parts[2]) { readSingle(group) }
                }
            }
        }
    }

    /// A group's folder and those of the groups around it. A container may see its own group as the root of what is mounted, although the
    /// path is the machine's: what isn't there is passed over.
    private static func groups(mount: String, path: Substring) -> [String] {
        var result = [mount]
        for part in path.split(separator: "/") where part != ".." { result.append("\(result[result.count - 1])/\(part)") }
        return result
    }

    private mutating func readUnified(_ group: String) {
        // Above `memory.high` the system slows the process down until it would hardly go on.
        for name in ["memory.max", "memory.high"] { limit(memory: Self.numbers("\(group)/\(name)")?.first) }
        limit(processors: Self.numbers("\(group)/cpu.max"))
    }

    private mutating func readSingle(_ group: String) {
        limit(memory: Self.numbers("\(group)/memory.limit_in_bytes")?.first)
        if let quota = Self.numbers("\(group)/cpu.cfs_quota_us"), let period = Self.numbers("\(group)/cpu.cfs_period_us") {
            limit(processors: quota + period)
        }
    }

    /// - Parameter bytes: nil or what is no number of bytes for none.
    private mutating func limit(memory bytes: Int?) {
        // Without a limit, the hierarchy of the controller says a number near the largest one.
        guard let bytes, bytes > 0, bytes < 1 << 60 else { return }
        memory = min(memory ?? bytes, bytes)
    }

    /// - Parameter quota: microseconds of processor time, and those of the period that they are for.
    private mutating func limit(processors quota: [Int]?) {
        guard let quota, quota.count == 2, quota[0] > 0, quota[1] > 0 else { return }
        let count = Double(quota[0]) / Double(quota[1])
        processors = min(processors ?? count, count)
    }

    /// A file's numbers; nil where it isn't there, or says `max`.
    private static func numbers(_ path: String) -> [Int]? {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return nil }
        let numbers = text.split(whereSeparator: \.isWhitespace).map { Int($0) }
        return numbers.contains(nil) || numbers.isEmpty ? nil : numbers.compactMap { $0 }
    }
}
