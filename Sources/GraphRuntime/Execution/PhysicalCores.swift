import Foundation

/// Counts the cores that arithmetic can use: hyper-threads of one core share its vector units, so they count once.
enum PhysicalCores {
    static func count() -> Int {
        // What the operating system grants this process: fewer than the machine has under taskset or in a container.
        let granted = max(ProcessInfo.processInfo.activeProcessorCount, 1)
        var cores: Set<String> = []
        for cpu in 0..<4096 {
            let path = "/sys/devices/system/cpu/cpu\(cpu)/topology/thread_siblings_list"
            guard let siblings = try? String(contentsOfFile: path, encoding: .utf8) else { break }
            cores.insert(siblings)
        }
        return cores.isEmpty ? granted : min(cores.count, granted)
    }
}
