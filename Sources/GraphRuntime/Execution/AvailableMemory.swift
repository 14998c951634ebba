import Foundation

/// What a process may have of the machine's memory.
public enum AvailableMemory {
    /// Bytes of the machine's memory, or of what the process's control group (a container's limit) may have of it, whichever is less.
    public static let total: Int = {
        let machine = Int(clamping: ProcessInfo.processInfo.physicalMemory)
        return min(ControlGroup.current.memory ?? machine, machine)
    }()
}
