import COnnxProto
import GraphRuntime

/// The files beside a model that hold values of its tensors, each mapped once; ``ModelFolderFiles`` says which a model may read.
final class ExternalData {
    private let files: ModelFolderFiles
    private var mapped: [String: TensorStorage] = [:]
    /// The locations that tensors named, relative to the folder.
    private(set) var locations: Set<String> = []
    private let toleratesMissingData: Bool
    /// What couldn't be read, by location.
    private var missing: [String: MissingData] = [:]
    /// What stands for it.
    private var placeholder: TensorStorage?

    /// - Parameters:
    ///   - folder: The folder that locations are relative to.
    ///   - modelPath: The model file, nil where the model was given as bytes.
    ///   - toleratesMissingData: Whether tensors whose file can't be read have a placeholder's bytes (``Tensor/hasValues``).
    init(folder: String, modelPath: String?, toleratesMissingData: Bool = false) {
        files = ModelFolderFiles(folder: folder, modelPath: modelPath)
        self.toleratesMissingData = toleratesMissingData
    }

    /// What couldn't be read, by location.
    var missingData: [MissingData] { missing.values.sorted { $0.location < $1.location } }

    /// Where the `byteCount` bytes of a tensor lie.
    ///
    /// - Throws: ``LoadError`` of kind `externalData`, `foreignFormat`, or `file` where the file can't be opened.
    func find(
        _ entries: [UnsafePointer<Onnx__StringStringEntryProto>], byteCount: Int
    ) throws(LoadError) -> (storage: TensorStorage, offset: Int) {
        let place = unsafe try place(entries, byteCount: byteCount)
        do throws(LoadError) { return (try read(place), place.offset) } catch {
            guard toleratesMissingData else { throw error }
            missing[place.location, default: MissingData(location: place.location, reason: reason(error, place))].add(byteCount)
            return (try placeholder(byteCount: byteCount), 0)
        }
    }

    /// Bytes that nobody may read for values.
    func placeholder(byteCount: Int) throws(LoadError) -> TensorStorage {
        if let placeholder, placeholder.byteCount >= byteCount { return placeholder }
        let storage = try wrapped { () throws(TensorError) in try TensorStorage.placeholder(byteCount: byteCount) }
        placeholder = storage
        return storage
    }

    /// A file's part that an entry names.
    private struct Place {
        let location: String
        let offset: Int
        /// Of the tensor.
        let byteCount: Int
        /// Whether a length or an offset is stated.
        let statesPlace: Bool
    }

    /// What the entries of a tensor name.
    private func place(
        _ entries: [UnsafePointer<Onnx__StringStringEntryProto>], byteCount: Int
    ) throws(LoadError) -> Place {
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
        locations.insert(location)
        return Place(
            location: location, offset: offset, byteCount: byteCount, statesPlace: length != nil || values["offset"] != nil)
    }

    /// The file that has the part.
    private func read(_ place: Place) throws(LoadError) -> TensorStorage {
        let storage = try map(place.location)
        let name = place.location.shortened(to: String.longestName)
        guard place.offset <= storage.byteCount, place.byteCount <= storage.byteCount - place.offset else {
            throw foreign(storage, name)
                ?? LoadError(
                    .externalData,
                    "\(place.byteCount) bytes from \(place.offset) on leave \"\(name)\", which has \(storage.byteCount) bytes")
        }
        // Without a length, the data are all that is left of the file (ONNX, external data); but there are writers that state where each
        // tensor of a file begins, and no lengths.
        guard place.statesPlace || storage.byteCount - place.offset == place.byteCount else {
            throw foreign(storage, name)
                ?? LoadError(
                    .externalData,
                    "\"\(name)\" has \(storage.byteCount - place.offset) bytes from \(place.offset) on, but the tensor takes "
                        + "\(place.byteCount)")
        }
        return storage
    }

    /// What is wrong with a file, for all tensors that it should have.
    private func reason(_ error: LoadError, _ place: Place) -> String {
        guard error.kind == .externalData, let storage = mapped[place.location],
            place.offset > storage.byteCount - place.byteCount
        else { return error.message }
        return
            "the file \"\(place.location.shortened(to: String.longestName))\" of external data ends after \(storage.byteCount) bytes"
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

/// External data that a model names and that can't be read, in a model that was loaded all the same; see
/// ``ONNXModel/missingData``.
public struct MissingData: Sendable, Equatable {
    /// The file as the model names it.
    public var location: String
    /// What is wrong with it, in one sentence without a full stop.
    public var reason: String
    /// The tensors whose values should lie there and don't.
    public var tensorCount: Int
    /// Bytes of these tensors.
    public var byteCount: Int

    /// What is missing; each parameter is the property of its name.
    public init(location: String, reason: String, tensorCount: Int = 0, byteCount: Int = 0) {
        self.location = location
        self.reason = reason
        self.tensorCount = tensorCount
        self.byteCount = byteCount
    }

    fileprivate mutating func add(_ bytes: Int) {
        tensorCount += 1
        byteCount = byteCount.addingReportingOverflow(bytes).overflow ? .max : byteCount + bytes
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
