import Foundation
import SDPipeline

/// Which model a report is about: the same files give the same hash wherever they lie.
struct ModelIdentity: Codable {
    /// The path as it was given.
    let path: String
    /// Of all files that count.
    let bytes: Int
    /// FNV-1a of the files' sizes and of samples of their content, 64 bits as hexadecimal digits.
    let hash: String

    /// - Parameters:
    ///   - path: what to call it.
    ///   - graphs: model files; those beside them whose names go on from theirs, such as `model.onnx_data`, count too.
    init(path: String, graphs: [URL]) throws {
        self.path = path
        var hash = Hash()
        var bytes = 0
        for graph in graphs {
            let folder = graph.deletingLastPathComponent()
            let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
            for name in names.sorted() where name.hasPrefix(graph.lastPathComponent) {
                bytes += try hash.add(folder.appendingPathComponent(name))
            }
        }
        self.bytes = bytes
        self.hash = String(hash.value, radix: 16)
    }

    /// Fowler, Noll and Vo's hash 1a (RFC 9923).
    private struct Hash {
        private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

        /// Places of a large file that are read, and how much of each: weights of two models differ in all of them.
        private static let (sampleCount, sampleBytes) = (64, 16384)

        /// - Returns: the file's size.
        mutating func add(_ file: URL) throws -> Int {
            let handle: FileHandle
            do { handle = try FileHandle(forReadingFrom: file) } catch {
                throw CommandFailure("\(file.path) can't be read.")
            }
            defer { try? handle.close() }
            let size = Int(try handle.seekToEnd())
            add(Data("\(size) ".utf8))
            let isSmall = size <= Self.sampleCount * Self.sampleBytes
            for sample in 0..<(isSmall ? 1 : Self.sampleCount) {
                try handle.seek(toOffset: UInt64(isSmall ? 0 : (size - Self.sampleBytes) / (Self.sampleCount - 1) * sample))
                add(try handle.read(upToCount: isSmall ? size : Self.sampleBytes) ?? Data())
            }
            return size
        }

        private mutating func add(_ data: Data) {
            for byte in data { value = (value ^ UInt64(byte)) &* 0x100_0000_01b3 }
        }
    }
}
