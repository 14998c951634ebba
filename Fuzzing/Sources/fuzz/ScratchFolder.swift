import Foundation

/// One folder in memory for a target whose subject reads files; emptied before each input.
enum ScratchFolder {
    static let url: URL = {
        let url = URL(filePath: "/dev/shm/sd-onnx-fuzz-\(ProcessInfo.processInfo.processIdentifier)")
        atexit { try? FileManager.default.removeItem(at: ScratchFolder.url) }
        return url
    }()

    /// Makes the folder hold these files and nothing else; nil leaves one out.
    static func fill(_ files: [(name: String, content: [UInt8]?)]) throws {
        let manager = FileManager.default
        try? manager.removeItem(at: url)
        for (name, content) in files {
            guard let content else { continue }
            let file = url.appending(path: name)
            try manager.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(content).write(to: file)
        }
    }
}
