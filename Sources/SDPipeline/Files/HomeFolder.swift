import Foundation

/// The person's folder in paths that no shell has read, such as those of environment variables and of `--model=~/model`.
package enum HomeFolder {
    /// A path with `~` at its start, alone or before a slash, replaced as shells do.
    package static func expanding(_ path: String, environment: [String: String] = ProcessInfo.processInfo.environment) -> String
    {
        guard path == "~" || path.hasPrefix("~/") else { return path }
        let home = environment["HOME"] ?? ""
        return (home.isEmpty ? NSHomeDirectory() : home) + path.dropFirst()
    }
}
