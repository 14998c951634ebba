import GraphRuntime

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A folder of ONNX's backend tests: a model, and sets of inputs with the outputs that belong to them.
///
/// The model is `model.onnx`, or the only `.onnx` file of the folder. Each folder `test_data_set_*` beside it is a data set; files of a data
/// set that lie beside the model itself are one too.
package struct BackendTestCase: Sendable {
    /// The folder's path below the one that was searched.
    package let name: String
    package let folder: URL
    /// The data sets' folders, in the order of their names.
    package let dataSets: [URL]
    private let models: [URL]

    /// What can't be read of a case. `description` is a part of a sentence.
    package struct Problem: Error, CustomStringConvertible {
        package let description: String
    }

    /// The cases of a folder, which may be one itself, sorted by name. Folders below a case aren't searched.
    ///
    /// - Throws: ``Problem`` where the folder can't be read.
    package static func find(in root: URL) throws -> [BackendTestCase] {
        var result: [BackendTestCase] = []
        var visited: Set<String> = []
        try search(root, path: [], &visited, &result)
        return result
    }

    private static func search(
        _ folder: URL, path: [String], _ visited: inout Set<String>, _ result: inout [BackendTestCase]
    ) throws {
        // A link may lead back to a folder above it.
        guard visited.insert(folder.resolvingSymlinksInPath().path).inserted else { return }
        let names: [String]
        do { names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() } catch {
            throw Problem(description: "\(folder.path) isn't a folder that can be read")
        }
        let folders = names.filter { isFolder(folder.appendingPathComponent($0)) }
        var dataSets = folders.filter { $0.hasPrefix("test_data_set_") }.sorted(by: isInOrder).map(
            folder.appendingPathComponent)
        if dataSets.isEmpty, names.contains(where: { ValueFileName($0) != nil }) { dataSets = [folder] }
        guard dataSets.isEmpty else {
            let models = names.filter { $0.hasSuffix(".onnx") && !folders.contains($0) }
            let chosen = models.contains("model.onnx") ? ["model.onnx"] : models
            let name = path.isEmpty ? folder.standardizedFileURL.lastPathComponent : path.joined(separator: "/")
            result.append(
                BackendTestCase(
                    name: name, folder: folder, dataSets: dataSets, models: chosen.map(folder.appendingPathComponent)))
            return
        }
        for name in folders {
            try search(folder.appendingPathComponent(name), path: path + [name], &visited, &result)
        }
    }

    /// `test_data_set_10` comes behind `test_data_set_9`.
    private static func isInOrder(_ a: String, _ b: String) -> Bool {
        a.utf8.count == b.utf8.count ? a < b : a.utf8.count < b.utf8.count
    }

    private static func isFolder(_ url: URL) -> Bool {
        (try? url.resourceValues(forKeys: [.isDirectoryKey]).isDirectory) == true
            || (try? FileManager.default.contentsOfDirectory(atPath: url.path)) != nil
    }

    /// - Throws: ``Problem`` where there is none, or which of several it is isn't known.
    func model() throws -> URL {
        guard models.count == 1 else {
            throw Problem(
                description: models.isEmpty
                    ? "model.onnx is missing" : "it has \(models.count) .onnx files and none is model.onnx")
        }
        return models[0]
    }

    /// What `data.json` beside the model says of tolerances, as ONNX's own runner takes it.
    func statedTolerance() -> (relative: Double?, absolute: Double?) {
        struct Stated: Decodable {
            let rtol: Double?
            let atol: Double?
        }
        let file = folder.appendingPathComponent("data.json")
        let stated = try? JSONText.decode(Stated.self, contentsOf: file, limit: 1 << 20)
        return (stated?.rtol, stated?.atol)
    }
}

/// The name of a data set's file: `input_0.pb`, `output_12.pb`.
struct ValueFileName {
    let isInput: Bool
    /// The position among the graph's inputs or outputs.
    let position: Int
    let name: String

    init?(_ name: String) {
        guard name.hasSuffix(".pb") else { return nil }
        let stem = name.dropLast(3)
        guard let prefix = ["input_", "output_"].first(where: stem.hasPrefix), let position = Int(stem.dropFirst(prefix.count)),
            position >= 0
        else { return nil }
        isInput = prefix == "input_"
        self.position = position
        self.name = name
    }
}
