import Foundation

/// What a picture's file says of how the picture was made: this program's own, and those of AUTOMATIC1111's web interface and its kin, of
/// ComfyUI, NovelAI and InvokeAI.
///
/// Files are anyone's: texts have limits, and what makes no sense is left out.
public struct PictureMetadata: Sendable, Equatable {
    /// Who wrote it.
    public enum Source: String, Sendable, CaseIterable, Codable {
        /// This program, with a complete record.
        case sdOnnx = "sd-onnx"
        /// AUTOMATIC1111's web interface, or a program that writes the same text.
        case automatic1111 = "a1111"
        /// ComfyUI: a graph of nodes, of which only what is usual is understood.
        case comfyUI = "comfyui"
        /// NovelAI.
        case novelAI = "novelai"
        /// InvokeAI.
        case invokeAI = "invokeai"

        /// The program's name for a person.
        public var name: String {
            switch self {
            case .sdOnnx: "sd-onnx"
            case .automatic1111: "AUTOMATIC1111's web interface"
            case .comfyUI: "ComfyUI"
            case .novelAI: "NovelAI"
            case .invokeAI: "InvokeAI"
            }
        }
    }

    /// Who wrote it, by its form.
    public let source: Source
    /// The program and its version, where the file names them.
    public let program: String?
    /// What is known.
    public let settings: PictureSettings
    /// All of it, of this program's own pictures.
    public let record: GenerationRecord?
    /// The texts that the file holds.
    public let texts: [PNGText]

    /// Reads what a PNG or JPEG file says.
    ///
    /// - Parameter file: the file's content.
    /// - Returns: nil where nothing is said of how a picture was made.
    /// - Throws: ``PipelineError`` where something is said, and it is damaged.
    public init?(_ file: [UInt8]) throws(PipelineError) {
        try self.init(texts: Self.texts(of: file))
    }

    /// Reads texts that a picture's file held.
    ///
    /// - Returns: nil where nothing is said of how a picture was made.
    /// - Throws: ``PipelineError`` where something is said, and it is damaged.
    public init?(texts: [PNGText]) throws(PipelineError) {
        self.texts = texts
        func text(_ key: String) -> String? { texts.first { $0.key == key }?.text }
        var damage: PipelineError?
        if let json = text(GenerationRecord.pngKey) {
            do {
                let record = try GenerationRecord(json: json)
                (source, program, self.record) = (.sdOnnx, "\(record.program) \(record.version)", record)
                settings = PictureSettings(record)
                return
            } catch { damage = error }
        }
        if let found = NovelAIComment(texts) {
            (source, program, record, settings) = (.novelAI, found.program, nil, found.settings)
        } else if let found = InvokeAIMetadata(texts) {
            (source, program, record, settings) = (.invokeAI, found.program, nil, found.settings)
        } else if let found = text("parameters").map(Infotext.init(parsing:)), !found.pairs.isEmpty || !found.prompt.isEmpty {
            (source, program, record, settings) = (.automatic1111, found["Version"], nil, PictureSettings(found))
        } else if let json = text("prompt") {
            guard let graph = ComfyUIGraph(json) else {
                throw PipelineError(
                    "The picture's graph of ComfyUI can't be read: it isn't JSON of nodes.", kind: .malformedFile)
            }
            (source, program, record, settings) = (.comfyUI, "ComfyUI", nil, graph.settings)
        } else {
            if let damage { throw damage }
            return nil
        }
    }

    /// The texts of a PNG or JPEG file, compressed ones too; a user's comment of EXIF has the key that PNG has for it, `parameters`.
    static func texts(of file: [UInt8]) -> [PNGText] {
        switch PictureFormat(start: file) {
        case .png:
            let entries = PNGText.entries(in: file)
            guard !entries.contains(where: { $0.key == "parameters" }), let comment = UserComment.text(png: file) else {
                return entries
            }
            return entries + [PNGText(key: "parameters", text: comment)]
        case .jpeg: return UserComment.text(jpeg: file).map { [PNGText(key: "parameters", text: $0)] } ?? []
        case nil: return []
        }
    }
}
