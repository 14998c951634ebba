import Foundation

/// Counts the cores that arithmetic can use: hyper-threads of one core share its vector units, so they count once.
enum PhysicalCores {
    static func count() -> Int {
        // What the operating system grants this process: fewer than the machine has under taskset, and in a container either fewer
        // processors or less time on all of them. More threads than that would be stopped for the rest of each period, one waiting for
        // the other.
        let quota = ControlGroup.current.processors.map { Int($0.rounded(.up)) } ?? .max
        let granted = max(min(ProcessInfo.processInfo.activeProcessorCount, quota), 1)
        var cores: Set<String> = []
        for cpu in 0..<4096 {
            let path = "/sys/devices/system/cpu/cpu\(cpu)/topology/thread_siblings_list"
            guard let siblings = try? String(contentsOfFile: path, encoding: .utf8) else { break }
            cores.insert(siblings)
        }
        return cores.isEmpty ? granted : min(cores.count, granted)
    }
}
