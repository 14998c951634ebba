import COnnxProto
import GraphRuntime

/// The files beside a model that hold values of its tensors, each mapped once; ``ModelFolderFiles`` says which a model may read.
final class ExternalData {
    private let files: ModelFolderFiles
    private var mapped: [String: TensorStorage] = [:]
    /// The locations that tensors named, relative to the folder.
    private(set) var locations: Set<String> = []

    /// - Parameters:
    ///   - folder: The folder that locations are relative to.
    ///   - modelPath: The model file, nil where the model was given as bytes.
    init(folder: String, modelPath: String?) {
        files = ModelFolderFiles(folder: folder, modelPath: modelPath)
    }

    /// Where the `byteCount` bytes of a tensor lie.
    ///
    /// - Throws: ``LoadError`` of kind `externalData`, `foreignFormat`, or `file` where the file can't be opened.
    func find(
        _ entries: [UnsafePointer<Onnx__StringStringEntryProto>], byteCount: Int
    ) throws(LoadError) -> (storage: TensorStorage, offset: Int) {
        var values: [String: String] = [:]
        for unsafe(entry) in unsafe entries {
            let key = unsafe text(entry.pointee.key)
            guard unsafe values.updateValue(text(entry.pointee.value), forKey: key) == nil else {
                throw LoadError(.externalData, "the external data state \"\(key.shortened(to: String.longestName))\" twice")
            }
        }
        guard let location = values["location"], !location.isEmpty else {
            throw LoadError(.externalData, "the external data have no location")
        }
        let offset = try number(values["offset"], "offset") ?? 0
        // A length of 0 stands for one that isn't stated, in ONNX Runtime as well.
        let length = try number(values["length"], "length").flatMap { $0 == 0 ? nil : $0 }
        if let length, length != byteCount {
            throw LoadError(
                .externalData, "the external data have the length \(length), but the tensor takes \(byteCount) bytes")
        }
        let storage = try map(location)
        let name = location.shortened(to: String.longestName)
        locations.insert(location)
        guard offset <= storage.byteCount, byteCount <= storage.byteCount - offset else {
            throw foreign(storage, name)
                ?? LoadError(
                    .externalData,
                    "\(byteCount) bytes from \(offset) on leave \"\(name)\", which has \(storage.byteCount) bytes")
        }
        // Without a length, the data are all that is left of the file (ONNX, external data).
        guard length != nil || storage.byteCount - offset == byteCount else {
            throw foreign(storage, name)
                ?? LoadError(
                    .externalData,
                    "\"\(name)\" has \(storage.byteCount - offset) bytes from \(offset) on, but the tensor takes \(byteCount)")
        }
        return (storage, offset)
    }

    /// Checks that what was read of the files so far was theirs.
    ///
    /// - Throws: ``LoadError`` of kind `file`.
    func requireWhole() throws(LoadError) { for storage in mapped.values { try storage.requireWholeFile() } }

    private func number(_ text: String?, _ key: String) throws(LoadError) -> Int? {
        guard let text else { return nil }
        guard let value = Int(text), value >= 0 else {
            throw LoadError(
                .externalData,
                "the \(key) \"\(text.shortened(to: String.longestName))\" of the external data is no number of bytes")
        }
        return value
    }

    private func map(_ location: String) throws(LoadError) -> TensorStorage {
        if let storage = mapped[location] { return storage }
        let path = try ModelFolderFiles.components(location)
        let key = path.joined(separator: "/")
        let storage: TensorStorage
        if let known = mapped[key] { storage = known } else { storage = try files.map(path, location: location) }
        if let found = ForeignFormat.placeholder(storage.head) { throw Self.foreign(found, location) }
        mapped[key] = storage
        mapped[location] = storage
        return storage
    }

    /// What a file is that doesn't hold the values it should; nil where that isn't known.
    private func foreign(_ storage: TensorStorage, _ location: String) -> LoadError? {
        ForeignFormat.recognize(storage.head, byteCount: storage.byteCount).map { Self.foreign($0, location) }
    }

    private static func foreign(_ found: ForeignFormat, _ location: String) -> LoadError {
        LoadError(
            .foreignFormat,
            "expected external data in \"\(location.shortened(to: String.longestName))\", found \(found.name): \(found.advice)")
    }
}

extension TensorStorage {
    /// The first bytes, which tell the format of a file.
    var head: [UInt8] {
        unsafe [UInt8](UnsafeRawBufferPointer(start: base, count: min(byteCount, ForeignFormat.headLength)))
    }

    /// - Throws: ``LoadError`` of kind `file` where the storage is a mapped file that lost pages while it was read.
    func requireWholeFile() throws(LoadError) {
        do throws(GraphError) { try requireWhole() } catch { throw LoadError(.file, error.message) }
    }
}
