import Foundation
import ONNXLoader
import SDPipeline

/// What a batch's manifest says of a job that was made or failed: a line of JSON.
struct BatchEntry: Codable {
    enum State: String, Codable { case done, failed }

    struct Picture: Codable, Equatable {
        /// Its path in the batch's folder.
        let file: String
        let bytes: Int
        /// Of the file, 64 hexadecimal digits.
        let sha256: String

        /// - Throws: ``CommandFailure`` where it can't be read.
        init(file: String, contentsOf url: URL) throws {
            do {
                let content = try BoundedFile.read(url, limit: Self.largestSize)
                (self.file, bytes, sha256) = (file, content.count, SHA256.hexadecimal(of: content))
            } catch {
                throw CommandFailure("\(url.path) can't be read: \(error.reason).")
            }
        }

        private static let largestSize = 1 << 32
    }

    /// A file that the job starts from.
    struct Input: Codable, Equatable {
        let path: String
        /// Of the file, 64 hexadecimal digits.
        let sha256: String

        static let largestSize = 1 << 32
    }

    /// See ``BatchJob/id``.
    let job: String
    /// The first line that has it.
    let line: Int
    /// The options of `generate` that it consists of.
    let options: [String]
    var state = State.done
    var pictures: [Picture] = []
    var inputs: [Input] = []
    /// Why it failed; nil where it didn't.
    var error: String?
    /// How often it had been made before, where a picture was lost or a file that it starts from has changed since.
    var remade: Int?
    /// From the options to the pictures, the loading of a model included.
    var seconds = 0.0
    /// The program's version.
    let version: String

    init(job: BatchJob) {
        (self.job, line, options) = (job.id, job.line, job.arguments)
        version = ProgramVersion.current
    }
}

/// All that the manifests of a batch say.
struct BatchEntries {
    /// In the order of their lines, of one manifest after another.
    private(set) var all: [BatchEntry] = []
    /// Of each job the one that counts: the last that was made, or made again most often, or else the last
    /// failure.
    private(set) var latest: [String: BatchEntry] = [:]
    /// Lines that can't be read, by file.
    private(set) var damaged: [String: Int] = [:]

    mutating func add(_ entries: [BatchEntry], damaged count: Int, file: String) {
        all += entries
        if count > 0 { damaged[file] = count }
        for entry in entries {
            guard let known = latest[entry.job], known.state == .done else {
                latest[entry.job] = entry
                continue
            }
            // Manifests of other numbers of shards are in no order of time.
            if entry.state == .done, entry.remade ?? 0 >= known.remade ?? 0 { latest[entry.job] = entry }
        }
    }
}
