import Foundation
import GraphRuntime
import SDPipeline

/// A model named on the command line: a file, or a component of a model folder.
struct NamedModel {
    let path: String
    /// Shapes from the folder's files, by input.
    private let folder: ModelFolder?
    private let component: String?

    /// - Throws: ``CommandFailure`` where `model` is a folder and no component is named, or the other way round.
    init(_ model: String, component: String?) throws {
        var isFolder: ObjCBool = false
        let exists = unsafe FileManager.default.fileExists(atPath: model, isDirectory: &isFolder)
        guard exists && isFolder.boolValue else {
            if let component {
                throw CommandFailure(
                    "--component \(component) is for a model folder, and \(model) \(exists ? "is a file" : "doesn't exist").")
            }
            (path, folder, self.component) = (model, nil, nil)
            return
        }
        let folder = try ModelFolder(URL(fileURLWithPath: model))
        let known = folder.components
        guard let component else {
            throw CommandFailure("\(model) is a model folder: add --component \(known.joined(separator: "|")).")
        }
        guard known.contains(component) else {
            throw CommandFailure(
                "\(model) has no component \"\(component)\"; it has \(known.isEmpty ? "none" : known.joined(separator: ", ")).")
        }
        path = try folder.graph(of: component).path
        (self.folder, self.component) = (folder, component)
    }

    func suggestedShapes(_ inputs: [ValueDeclaration]) throws -> [String: [Int]] {
        guard let folder, let component else { return [:] }
        return try folder.inputShapes(of: component, inputs)
    }

    static func isFolder(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        return unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
    }
}
