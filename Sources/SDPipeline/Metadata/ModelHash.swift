import Foundation
import ONNXLoader
import Synchronization

/// The SHA-256 of a model's graphs and weights: of the bytes of those of `text_encoder/model.onnx`,
/// `text_encoder_2/model.onnx`, `unet/model.onnx`, `vae_decoder/model.onnx` and `vae_encoder/model.onnx` that are there, each followed by the files of its external data in the order of their names, all one after the
/// other. In a shell:
///
///     cat text_encoder/model.onnx unet/model.onnx unet/model.onnx_data … | sha256sum
///
/// Large files take seconds, so ``start()`` reads them on a thread of its own, beside the work; and the hash of a large model is kept in the user's
/// cache (`$XDG_CACHE_HOME`, `~/.cache`), under the files' numbers, sizes and times of change.
public final class ModelHash: Sendable {
    private static let components = ["text_encoder", "text_encoder_2", "unet", "vae_decoder", "vae_encoder"]
    /// Smaller models are read anew: that takes less than a tenth of a second.
    private static let smallestKept = 64 << 20

    private enum State {
        case idle, running
        case done(String?)
    }

    private let graphs: [URL]
    private let state = Mutex(State.idle)
    /// Entered while the files are read.
    private let reading = DispatchGroup()

    /// - Parameter folder: the model's folder, of which nothing is read so far.
    public convenience init(_ folder: ModelFolder) {
        self.init(graphs: Self.components.compactMap { try? folder.graph(of: $0) })
    }

    /// The hash of graphs, with their external data, one after the other.
    init(graphs: [URL]) { self.graphs = graphs }

    /// Begins to read the files, if nobody did.
    public func start() {
        let isFirst = state.withLock { state in
            guard case .idle = state else { return false }
            state = .running
            reading.enter()
            return true
        }
        guard isFirst else { return }
        Thread.detachNewThread { [self] in
            let result = Self.files(graphs).flatMap(Self.kept)
            state.withLock { $0 = .done(result) }
            reading.leave()
        }
    }

    /// 64 hexadecimal digits; nil where a file can't be read. Waits until the files are read.
    public var value: String? {
        start()
        reading.wait()
        if case .done(let result) = state.withLock({ $0 }) { return result }
        return nil
    }

    /// The files whose bytes count, in order.
    private static func files(_ graphs: [URL]) -> [URL]? {
        var result: [URL] = []
        for graph in graphs {
            guard let model = try? ONNXModel(contentsOf: graph) else { return nil }
            let place = graph.deletingLastPathComponent()
            let names = model.externalFiles.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
            result += [graph] + names.map { place.appendingPathComponent($0) }
        }
        return result
    }

    private static func kept(_ files: [URL]) -> String? {
        var identity: [String] = []
        var size = 0
        for file in files {
            guard let status = FileStatus(file.path) else { return nil }
            size += status.size
            identity.append(status.identity)
        }
        guard size >= smallestKept else { return computed(files) }
        let key = identity.joined(separator: " ")
        let cache = ModelHashCache()
        if let known = cache[key] { return known }
        let result = computed(files)
        if let result { cache.add(key, result) }
        return result
    }

    private static func computed(_ files: [URL]) -> String? {
        var hash = SHA256()
        for file in files {
            do {
                let handle = try FileHandle(forReadingFrom: file)
                while let part = try handle.read(upToCount: 1 << 20), !part.isEmpty { hash.update([UInt8](part)[...]) }
            } catch {
                return nil
            }
        }
        return hash.hexadecimal()
    }
}

/// Hashes that were computed before, in a file of the user's.
private struct ModelHashCache {
    private static let most = 200
    private let file: URL

    init(environment: [String: String] = ProcessInfo.processInfo.environment) {
        let stated = environment["XDG_CACHE_HOME"].flatMap { $0.hasPrefix("/") ? URL(fileURLWithPath: $0) : nil }
        let base = stated ?? FileManager.default.homeDirectoryForCurrentUser.appendingPathComponent(".cache")
        file = base.appendingPathComponent("sd-onnx/model-hashes.json")
    }

    private var entries: [String: String] {
        (try? JSONText.decode([String: String].self, contentsOf: file)) ?? [:]
    }

    subscript(key: String) -> String? {
        guard let known = entries[key], known.utf8.count == 64 else { return nil }
        return known
    }

    /// Where the file can't be written, the next run computes again.
    func add(_ key: String, _ value: String) {
        var entries = entries
        if entries.count >= Self.most { entries = [:] }
        entries[key] = value
        guard let data = try? JSONEncoder().encode(entries) else { return }
        try? FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try? AtomicFile.write([UInt8](data), to: file)
    }
}
