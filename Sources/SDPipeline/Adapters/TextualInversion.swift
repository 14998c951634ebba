import Foundation
import ONNXLoader

/// Words that were learned from pictures, as vectors that take the place of token embeddings (Gal et al., "An Image is Worth One Word", 2022).
public struct TextualInversion: Sendable {
    /// Vectors of one text encoder.
    struct Vectors: Sendable, Equatable {
        /// [count, width].
        let values: [Float]
        let count: Int
        let width: Int
    }

    /// What stands for it in a prompt.
    public let name: String
    /// Where it comes from.
    public let file: InputFiles.File
    let source: String
    /// The vectors of the one text encoder, of SD 1.x and 2.x.
    let single: Vectors?
    /// Those of SDXL's first text encoder, and of its second.
    let pair: [Vectors]?

    /// The most bytes of a file: thousands of vectors.
    private static let largestFile = 1 << 28
    private static let pickles = ["bin", "pt", "pth", "ckpt", "pkl", "pickle"]

    /// Reads a `.safetensors` file: one tensor [count, width] or [width], such as `emb_params` or diffusers' `<token>`; for SDXL `clip_l` and
    /// `clip_g`.
    ///
    /// - Parameters:
    ///   - name: what stands for it in a prompt, such as `<cat-toy>`.
    ///   - url: of the file.
    /// - Throws: ``PipelineError`` with the file and what is wrong with it.
    public init(name: String, contentsOf url: URL) throws {
        self.name = name
        source = url.path
        let bytes: [UInt8]
        do { bytes = try BoundedFile.read(url, limit: Self.largestFile, takesPipes: true) } catch {
            throw PipelineError("The embedding \(url.path) can't be read: \(error.reason).", kind: .malformedFile)
        }
        // A pickle of protocol 2 or later, or the archive of PyTorch around one.
        if Self.pickles.contains(url.pathExtension.lowercased()) || bytes.starts(with: [0x50, 0x4B, 3, 4])
            || bytes.starts(with: [0x80]) && bytes.dropFirst().first.map({ (2...5).contains($0) }) == true && bytes.count > 8
                && bytes[7] != 0
        {
            throw PipelineError(
                "The embedding \(url.path) is a pickle of PyTorch, which runs code when it is read: expected a .safetensors file, into which "
                    + "safetensors.torch.save_file turns its tensors.", kind: .malformedFile)
        }
        do {
            let file = try SafetensorsFile(bytes: bytes)
            if file.entries["clip_l"] != nil, file.entries["clip_g"] != nil {
                (single, pair) = (nil, [try Self.vectors("clip_l", file), try Self.vectors("clip_g", file)])
            } else {
                guard file.entries.count == 1, let key = file.entries.keys.first else {
                    throw SafetensorsFile.FormatError(
                        reason:
                            "it has the tensors \(file.entries.keys.sorted().prefix(6).map { $0.shortened(to: 40) }.joined(separator: ", ")), expected "
                            + "one, or clip_l and clip_g")
                }
                (single, pair) = (try Self.vectors(key, file), nil)
            }
        } catch let error as SafetensorsFile.FormatError {
            throw PipelineError("The embedding \(url.path) can't be used: \(error.reason).", kind: .malformedFile)
        }
        self.file = InputFiles.File(path: url.path, bytes: bytes)
    }

    private static func vectors(_ key: String, _ file: SafetensorsFile) throws -> Vectors {
        let shape = file.entries[key]?.shape ?? []
        guard [1, 2].contains(shape.count), shape.allSatisfy({ $0 > 0 }) else {
            throw SafetensorsFile.FormatError(
                reason:
                    "its tensor \"\(key.shortened(to: String.longestName))\" has the shape \(shape.prefix(8)), expected [vectors, width] or [width]"
            )
        }
        return Vectors(values: try file.floats(key), count: shape.count == 2 ? shape[0] : 1, width: shape[shape.count - 1])
    }

    /// The vectors for a text encoder of a family.
    ///
    /// - Parameters:
    ///   - folder: of the text encoder.
    ///   - isPair: whether the family is SDXL's.
    ///   - width: of its token embeddings, where a file says it.
    /// - Throws: ``PipelineError`` where the file has none for it, or of another width.
    func vectors(for folder: String, isPair: Bool, width: Int?) throws -> Vectors {
        let found = isPair ? pair?[folder == "text_encoder" ? 0 : 1] : single
        guard let found, width == nil || width == found.width else {
            let shapes = (pair ?? single.map { [$0] } ?? []).map { "[\($0.count), \($0.width)]" }.joined(separator: " and ")
            let expected = isPair ? "clip_l and clip_g of an SDXL model" : "one tensor"
            throw PipelineError(
                "The embedding \(source) has vectors of shape \(shapes), and the model's \(folder) takes [n, \(width.map(String.init) ?? "width")] (\(expected)): it is "
                    + "of another kind of model.", kind: .invalidRequest)
        }
        return found
    }
}
