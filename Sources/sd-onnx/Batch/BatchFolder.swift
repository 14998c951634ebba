import Foundation
import ONNXLoader
import SDPipeline

/// What a batch consists of, as its folder says it for `batch status` and `batch verify`.
struct BatchPlan: Codable {
    struct Job: Codable {
        let id: String
        let line: Int
    }

    private(set) var format = 1
    /// The file of jobs.
    let title: String
    /// Those of all jobs.
    let options: [String]
    let jobs: [Job]

    init(title: String, options: [String], jobs: [BatchJob]) {
        (self.title, self.options) = (title, options)
        self.jobs = jobs.map { Job(id: $0.id, line: $0.line) }
    }
}

/// The folder of a batch: `batch.json`, which says what is to be made, `manifest/I-of-N.jsonl`, what each shard has made, and
/// `pictures/`.
struct BatchFolder {
    let url: URL

    init(_ path: String) { url = URL(fileURLWithPath: path) }

    private var planFile: URL { url.appendingPathComponent("batch.json") }
    private var manifestFolder: URL { url.appendingPathComponent("manifest") }

    /// Prepares the folder, and takes the place of the process that writes a shard's manifest.
    ///
    /// - Throws: ``CommandFailure`` where processes work on the batch in another number of shards; `AtomicFile.WriteError`.
    func begin(_ plan: BatchPlan, shard: BatchShard, willWait: () -> Void) throws -> BatchManifest {
        try OutputFolder(manifestFolder.path).make()
        // One process at a time looks who else is there.
        let lockFile = url.appendingPathComponent(".lock")
        let lock = try FileLock.open(lockFile)
        defer { close(lock) }
        _ = try FileLock.take(lock, lockFile, waits: true)
        for (name, file) in try manifests() where !name.hasSuffix("-of-\(shard.count)") {
            guard try !isInUse(file) else {
                throw CommandFailure(
                    "A process works on shard \(name.replacing("-of-", with: "/")) of \(url.path): wait for its end, or make shards of the same number, found \(shard)."
                )
            }
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let bytes = [UInt8](try encoder.encode(plan)) + [0x0A]
        // Of a thousand shards, one writes it.
        if (try? BoundedFile.read(planFile, limit: bytes.count)) != bytes {
            try Interruption.whileWriting { try AtomicFile.write(bytes, to: planFile) }
        }
        let file = manifestFolder.appendingPathComponent("\(shard.number)-of-\(shard.count).jsonl")
        return try BatchManifest(file) {
            willWait()
            // The others needn't wait with it.
            _ = flock(lock, LOCK_UN)
        }
    }

    /// - Throws: ``CommandFailure`` where there is no batch.
    func plan() throws -> BatchPlan {
        do {
            let bytes = try BoundedFile.read(planFile, limit: 1 << 32)
            let plan = try JSONText.decode(BatchPlan.self, from: bytes)
            guard plan.format == 1 else {
                throw CommandFailure(
                    "\(planFile.path) has format \(plan.format), expected 1: another version of this program wrote it.")
            }
            return plan
        } catch let error as BoundedFile.ReadError {
            throw CommandFailure("\(url.path) isn't the folder of a batch: batch.json can't be read, \(error.reason).")
        } catch let error where error is DecodingError || error is JSONText.FormatError {
            throw CommandFailure("\(planFile.path) isn't what \"sd-onnx batch\" writes.")
        }
    }

    /// What all shards have made.
    func entries() throws -> BatchEntries {
        var result = BatchEntries()
        for (_, file) in try manifests() {
            let (entries, damaged) = try BatchManifest.read(file)
            result.add(entries, damaged: damaged, file: file.path)
        }
        return result
    }

    /// The manifests by their names, `I-of-N`.
    func manifests() throws -> [(name: String, file: URL)] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: manifestFolder.path)) ?? []
        let shards = names.compactMap { name -> (number: Int, count: Int, name: String)? in
            guard let match = name.wholeMatch(of: /([0-9]{1,7})-of-([0-9]{1,7})\.jsonl/), let number = Int(match.1),
                let count = Int(match.2)
            else { return nil }
            return (number, count, name)
        }
        return shards.sorted { ($0.count, $0.number) < ($1.count, $1.number) }.map { shard in
            ("\(shard.number)-of-\(shard.count)", manifestFolder.appendingPathComponent(shard.name))
        }
    }

    /// Whether a process writes a manifest.
    func isInUse(_ file: URL) throws -> Bool {
        // Who may only read the folder can lock its files all the same.
        let descriptor = unsafe open(file.path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileLock.failure(file) }
        defer { close(descriptor) }
        return flock(descriptor, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK
    }

    /// The files of a job's pictures, named after what they are made of: in 256 folders, so that none gets too many.
    func pictureNames(of job: BatchJob, inputs: [BatchEntry.Input], count: Int) -> [String] {
        let content =
            inputs.isEmpty ? job.id : SHA256.hexadecimal(of: Array((job.id + inputs.map(\.sha256).joined()).utf8))
        let stem = "pictures/\(content.prefix(2))/\(content.prefix(32))"
        return count == 1 ? ["\(stem).png"] : (1...count).map { "\(stem)-\($0).png" }
    }

    /// Whether a picture is there, with as many bytes as it was written with: what they are, "batch verify" looks at.
    func holds(_ picture: BatchEntry.Picture) -> Bool {
        let file = url.appendingPathComponent(picture.file).resolvingSymlinksInPath()
        let attributes = try? FileManager.default.attributesOfItem(atPath: file.path)
        return attributes?[.size] as? Int == picture.bytes
    }

    /// Every file below `pictures`, by its path in the batch's folder.
    func pictureFiles() -> Set<String> {
        let pictures = url.appendingPathComponent("pictures")
        var result: Set<String> = []
        for folder in (try? FileManager.default.contentsOfDirectory(atPath: pictures.path)) ?? [] {
            let files = try? FileManager.default.contentsOfDirectory(atPath: pictures.appendingPathComponent(folder).path)
            for file in files ?? [] { result.insert("pictures/\(folder)/\(file)") }
        }
        return result
    }
}
