import Foundation
import GraphRuntime
import ONNXLoader
import SDPipeline

/// A file with an input's value. Its name says of what kind it is: `.pb` a tensor, sequence or optional as ONNX's test cases have
/// them, `.npz` an archive of arrays, anything else a `.npy` array.
struct InputFile {
    private enum Content {
        case array(NPYArray)
        /// A message's meaning depends on the declared type.
        case message(URL)
    }

    /// The input that it is for.
    let name: String
    let path: String
    private let content: Content

    /// Reads arrays, once: a file may be a pipe. Of an archive the array of the input's name is taken, or the only one; all of them where
    /// no input is named.
    ///
    /// - Throws: `NPYError`, `NPZError`, `LoadError`; ``CommandFailure`` where an input is given twice.
    static func read(_ files: [NamedFile]) throws -> [InputFile] {
        let result = try files.flatMap { file in
            let url = URL(fileURLWithPath: file.path)
            switch url.pathExtension.lowercased() {
            case "pb":
                _ = try MappedFile.map(file.path)
                return [InputFile(name: file.name, path: file.path, content: .message(url))]
            case "npz":
                let archive = try NPZArchive(contentsOf: url)
                let names = archive.names
                let wanted = names.contains(file.name) || names.count != 1 ? file.name : names[0]
                return try (file.name.isEmpty ? names : [wanted]).map {
                    InputFile(
                        name: file.name.isEmpty ? $0 : file.name, path: file.path, content: .array(try archive.array($0)))
                }
            default: return [InputFile(name: file.name, path: file.path, content: .array(try NPYArray(contentsOf: url)))]
            }
        }
        if let name = result.map(\.name).firstDuplicate { throw CommandFailure("The input \"\(name)\" is given twice.") }
        return result
    }

    /// - Parameter type: the input's declared type.
    /// - Throws: `LoadError` for a message that isn't of that type.
    func value(declaredAs type: ValueType?, limits: ResourceLimits) throws -> Value {
        switch content {
        case .array(let array): .tensor(try array.tensor(declaredAs: type))
        case .message(let url): try ONNXModel.value(contentsOf: url, as: type, limits: limits)
        }
    }
}
