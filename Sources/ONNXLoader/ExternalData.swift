import COnnxProto
import GraphRuntime

/// The files beside a model that hold values of its tensors, each mapped once.
///
/// Which files a model may read: its location must be a relative path without `..`, and the file that it leads to must lie in the
/// model's folder, or below it, after all symbolic links are followed. One exception: where the model file itself is a symbolic
/// link, files in the folder of its target count as well. The cache of the Hugging Face hub is laid out so (`model.onnx` and
/// `model.onnx_data` are links into one folder of blobs), and whoever opened the model chose that folder with it. Links to
/// anywhere else are refused, so that a model from a stranger can't make its weights out of any file of this machine.
final class ExternalData {
    private let folder: String
    /// The real paths of the folders that files may lie in.
    private let allowed: [String]
    private var mapped: [String: TensorStorage] = [:]

    /// - Parameters:
    ///   - folder: The folder that locations are relative to.
    ///   - modelPath: The model file, nil where the model was given as bytes.
    init(folder: String, modelPath: String?) {
        self.folder = folder
        var allowed = [MappedFile.realPath(folder)].compactMap { $0 }
        if let modelPath, let target = MappedFile.realPath(modelPath), let slash = target.lastIndex(of: "/") {
            allowed.append(String(target[..<slash]))
        }
        self.allowed = allowed
    }

    /// Where the `byteCount` bytes of a tensor lie.
    ///
    /// - Throws: ``LoadError`` of kind `externalData`, or `file` where the file can't be opened.
    func find(
        _ entries: [UnsafePointer<Onnx__StringStringEntryProto>], byteCount: Int
    ) throws(LoadError) -> (storage: TensorStorage, offset: Int) {
        var values: [String: String] = [:]
        for entry in unsafe entries {
            let key = unsafe text(entry.pointee.key)
            guard unsafe values.updateValue(text(entry.pointee.value), forKey: key) == nil else {
                throw LoadError(.externalData, "the external data state \"\(key)\" twice")
            }
        }
        guard let location = values["location"], !location.isEmpty else {
            throw LoadError(.externalData, "the external data have no location")
        }
        let offset = try number(values["offset"], "offset") ?? 0
        let length = try number(values["length"], "length")
        if let length, length != byteCount {
            throw LoadError(
                .externalData, "the external data have the length \(length), but the tensor takes \(byteCount) bytes")
        }
        let storage = try map(location)
        guard offset <= storage.byteCount, byteCount <= storage.byteCount - offset else {
            throw LoadError(
                .externalData,
                "\(byteCount) bytes from \(offset) on leave \"\(location)\", which has \(storage.byteCount) bytes")
        }
        // Without a length, the data are all that is left of the file (ONNX, external data).
        guard length != nil || storage.byteCount - offset == byteCount else {
            throw LoadError(
                .externalData,
                "\"\(location)\" has \(storage.byteCount - offset) bytes from \(offset) on, but the tensor takes \(byteCount)")
        }
        return (storage, offset)
    }

    private func number(_ text: String?, _ key: String) throws(LoadError) -> Int? {
        guard let text else { return nil }
        guard let value = Int(text), value >= 0 else {
            throw LoadError(.externalData, "the \(key) \"\(text)\" of the external data is no number of bytes")
        }
        return value
    }

    private func map(_ location: String) throws(LoadError) -> TensorStorage {
        if let storage = mapped[location] { return storage }
        guard !location.hasPrefix("/") else {
            throw LoadError(.externalData, "the location \"\(location)\" of external data is an absolute path")
        }
        guard !location.split(separator: "/").contains("..") else {
            throw LoadError(.externalData, "the location \"\(location)\" of external data leaves the model's folder")
        }
        let path = folder + "/" + location
        guard let target = MappedFile.realPath(path) else {
            throw LoadError(.externalData, "the file \"\(location)\" of external data doesn't exist")
        }
        guard allowed.contains(where: { target.hasPrefix($0 == "/" ? $0 : $0 + "/") }) else {
            throw LoadError(
                .externalData, "the location \"\(location)\" of external data is a link that leaves the model's folder")
        }
        let storage: TensorStorage
        if let known = mapped[target] { storage = known } else { storage = try MappedFile.map(target) }
        mapped[target] = storage
        mapped[location] = storage
        return storage
    }
}
