/// Keeps the weights of a graph that lie in mapped files out of the process's memory but for those of the node that runs, and has the
/// system read those of the next nodes meanwhile.
struct WeightPages: Sendable {
    private struct Part: Sendable {
        let storage: TensorStorage
        let range: Range<Int>
    }

    /// By node, what it reads of mapped files.
    private let parts: [[Part]]
    /// By node, those whose weights are to be read ahead when it starts.
    private let ahead: [Range<Int>]
    /// The files, each once.
    private let storages: [TensorStorage]

    /// 64 MB: what is read ahead at most, so that pages aren't dropped from a small cache before they are used. The largest weights
    /// of Stable Diffusion 1.5 have 59 MB.
    private static let window = 64 << 20

    init(_ graph: Graph) {
        let parts = graph.nodes.map { node in
            node.reads.compactMap { id -> Part? in
                guard let tensor = graph.initializers[id], tensor.storage.isMappedFile, tensor.byteCount > 0 else { return nil }
                return Part(storage: tensor.storage, range: tensor.byteOffset..<tensor.byteOffset + tensor.byteCount)
            }
        }
        self.parts = parts
        ahead = Self.schedule(parts.map { $0.reduce(0) { $0 + $1.range.count } })
        var seen: Set<ObjectIdentifier> = []
        storages = graph.initializers.values.map(\.storage).filter {
            $0.isMappedFile && seen.insert(ObjectIdentifier($0)).inserted
        }
    }

    /// For each node the further nodes that come within the window, none twice.
    private static func schedule(_ byteCounts: [Int]) -> [Range<Int>] {
        var next = 0
        // Bytes of the nodes after the running one, up to `next`.
        var waiting = 0
        return byteCounts.indices.map { index in
            let first = next
            if next > index { waiting -= byteCounts[index] }
            while next < byteCounts.count, next <= index || waiting + byteCounts[next] <= window {
                if next > index { waiting += byteCounts[next] }
                next += 1
            }
            return first..<next
        }
    }

    func willRun(_ node: Int) {
        for index in ahead[node] { for part in parts[index] { part.storage.readAhead(part.range) } }
    }

    func didRun(_ node: Int) { for part in parts[node] { part.storage.releasePages(part.range) } }

    /// Also takes out what came in otherwise: around other pages, and by the nodes of subgraphs.
    func didEnd() { for storage in storages { storage.releasePages(0..<storage.byteCount) } }
}
