import COnnxProto
import GraphRuntime

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A model as an ONNX file states it.
///
/// IR versions 1 to 14 are read. Calls of the model's own functions are inlined, sparse tensors made dense, nodes sorted.
/// Quantization annotations, training information, device configurations and texts about nodes are left out: nothing in a run
/// depends on them.
public struct ONNXModel: Sendable {
    /// The model's graph, valid and in order (``/GraphRuntime/Graph/validate()``).
    public var graph: Graph
    /// The version of ONNX's intermediate representation, one of ``irVersions``.
    public var irVersion: Int
    /// The program that wrote the model, such as `pytorch`; empty where the file doesn't say.
    public var producerName: String
    /// That program's version; empty where the file doesn't say.
    public var producerVersion: String
    /// The model's own namespace, such as `org.example`; empty where the file doesn't say.
    public var domain: String
    /// The version that the author gave the model; 0 where the file doesn't say.
    public var modelVersion: Int
    /// The author's text about the model; empty where the file has none.
    public var docString: String
    /// The version of the operators by domain; `""` for ONNX's own, also where the file says `ai.onnx`.
    public var opsetImports: [String: Int]
    /// The key-value pairs of metadata_props.
    public var metadata: [String: String]
    /// The files beside the model that hold values of its tensors, relative to its folder, sorted.
    public var externalFiles: [String]
    /// External data that couldn't be read, by location; empty unless the load tolerates that.
    public var missingData: [MissingData]

    /// The versions of ONNX's intermediate representation that are read.
    public static let irVersions = 1...14

    /// Loads a model file, and the files beside it that hold its tensors.
    ///
    /// Values of tensors aren't copied: they stay in the file, which is mapped until the last of the model's tensors is gone. The
    /// file must not be changed in that time; see ``/GraphRuntime/MappedFileGuard``.
    ///
    /// - Parameters:
    ///   - url: The file.
    ///   - limits: What the load may take of the machine.
    ///   - toleratesMissingData: Whether the model is also read where files of external data are missing, too short or not to be read. Their
    ///     tensors then have types and shapes, but no values (`Tensor.hasValues` of GraphRuntime), ``missingData`` says which files it
    ///     is about, and no `Session` can be made of the graph.
    /// - Throws: ``LoadError``.
    public init(contentsOf url: URL, limits: ResourceLimits = ResourceLimits(), toleratesMissingData: Bool = false) throws {
        guard url.isFileURL else { throw LoadError(.file, "expected the URL of a file, found \(url)") }
        let path = url.path
        let external = ExternalData(
            folder: url.deletingLastPathComponent().path, modelPath: path, toleratesMissingData: toleratesMissingData)
        do throws(LoadError) {
            try self.init(try MappedFile.map(path), external, limits)
        } catch {
            throw error.inFile(path)
        }
    }

    /// Loads a model from memory; its bytes are copied once.
    ///
    /// - Parameters:
    ///   - bytes: A ModelProto in protobuf's wire format.
    ///   - baseDirectory: The folder that external data are relative to; without it, models with external data are refused.
    ///   - limits: What the load may take of the machine, besides the copy of the bytes.
    /// - Throws: ``LoadError``.
    public init(bytes: [UInt8], baseDirectory: URL? = nil, limits: ResourceLimits = ResourceLimits()) throws {
        let external = baseDirectory.map { ExternalData(folder: $0.path, modelPath: nil) }
        try self.init(try storage(of: bytes), external, limits)
    }

    private init(_ storage: TensorStorage, _ external: ExternalData?, _ limits: ResourceLimits) throws(LoadError) {
        do throws(LoadError) {
            try self.init(parsing: storage, external, LoadBudget(limits))
        } catch {
            // What follows from lost pages, or from bytes of another format, isn't what is wrong.
            try storage.requireWholeFile()
            try external?.requireWhole()
            throw Self.foreign(storage, error) ?? error
        }
        try storage.requireWholeFile()
        try external?.requireWhole()
    }

    /// What a file is that isn't a model by its bytes; nil where that isn't known.
    private static func foreign(_ storage: TensorStorage, _ error: LoadError) -> LoadError? {
        guard [.wireFormat, .unsupported, .graph].contains(error.kind), storage.byteCount > 0,
            let found = ForeignFormat.recognize(storage.head, byteCount: storage.byteCount)
        else { return nil }
        return LoadError(.foreignFormat, "expected an ONNX model, found \(found.name): \(found.advice)")
    }

    private init(parsing storage: TensorStorage, _ external: ExternalData?, _ budget: LoadBudget) throws(LoadError) {
        var empty = unsafe Onnx__ModelProto()
        unsafe onnx__model_proto__init(&empty)
        let message = unsafe try ProtoMessage(storage, empty.base.descriptor, budget: budget)
        defer { withExtendedLifetime(message) {} }
        let proto = unsafe message.assumingType(Onnx__ModelProto.self).pointee
        guard let graphProto = unsafe proto.graph else {
            throw LoadError(
                .graph, storage.byteCount == 0 ? "the file is empty: download or export it again" : "the model has no graph")
        }
        guard unsafe Self.irVersions.contains(Int(proto.ir_version)) else {
            throw LoadError(
                .unsupported,
                unsafe "the IR version is \(proto.ir_version), expected \(Self.irVersions.lowerBound) to \(Self.irVersions.upperBound)"
            )
        }
        let reader = MessageReader(
            tensors: TensorDecoder(
                storage: storage, payloads: message.payloads, externalData: external, budget: budget))
        var opsets = unsafe try reader.opsets(messages(proto.n_opset_import, proto.opset_import), of: "the model")
        // Before IR version 3 there was one set of operators.
        if unsafe proto.ir_version < 3, opsets[""] == nil { opsets[""] = 1 }
        var functions: [NamedFunction] = []
        for unsafe(function) in unsafe messages(proto.n_functions, proto.functions) {
            unsafe functions.append(try reader.function(function, opsets))
        }
        var inliner = try FunctionInliner(functions, budget: budget)
        graph = unsafe try GraphBuilder.build(try inliner.inline(try reader.graph(UnsafePointer(graphProto), opsets)))
        irVersion = unsafe Int(proto.ir_version)
        producerName = unsafe text(proto.producer_name)
        producerVersion = unsafe text(proto.producer_version)
        domain = unsafe text(proto.domain)
        modelVersion = unsafe Int(proto.model_version)
        docString = unsafe text(proto.doc_string)
        opsetImports = opsets
        externalFiles = external?.locations.sorted() ?? []
        missingData = external?.missingData ?? []
        metadata = [:]
        for unsafe(entry) in unsafe messages(proto.n_metadata_props, proto.metadata_props) {
            unsafe metadata[text(entry.pointee.key)] = unsafe text(entry.pointee.value)
        }
    }
}

/// Bytes as storage.
func storage(of bytes: [UInt8]) throws(LoadError) -> TensorStorage {
    let storage = try wrapped { () throws(TensorError) in try TensorStorage(byteCount: bytes.count) }
    unsafe UnsafeMutableRawBufferPointer(start: storage.base, count: bytes.count).copyBytes(from: bytes)
    return storage
}
