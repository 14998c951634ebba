import Foundation

/// How many files, and so connections, the process may have open.
enum OpenFiles {
    /// Takes what the system grants without asking anyone; 1024 is usual before.
    static func allowMost() {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = min(limit.rlim_max, 65536)
        _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
