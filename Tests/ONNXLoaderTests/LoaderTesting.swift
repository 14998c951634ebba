import Foundation
import GraphRuntime
import ONNXLoader
import Testing

/// The folder of what Tests/References/loader_models.py wrote.
let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures")

/// Expects that a load fails with an error of this kind whose message contains the text.
func expectFailure(
    _ kind: LoadError.Kind, _ text: String, sourceLocation: SourceLocation = #_sourceLocation, _ load: () throws -> Void
) {
    do {
        try load()
        Issue.record("expected an error with \"\(text)\"", sourceLocation: sourceLocation)
    } catch let error as LoadError {
        #expect(error.kind == kind, "\(error)", sourceLocation: sourceLocation)
        #expect(error.message.contains(text), "\(error)", sourceLocation: sourceLocation)
        #expect(!error.message.hasSuffix(".") && !error.message.contains("\n"), "\(error)", sourceLocation: sourceLocation)
    } catch {
        Issue.record("expected a LoadError, found \(error)", sourceLocation: sourceLocation)
    }
}

/// Calls `body` with a folder that is removed afterwards.
func withTemporaryFolder<Result>(_ body: (URL) throws -> Result) throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("loader-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try body(folder)
}

extension Graph {
    func id(of name: String) -> ValueID? { values.firstIndex { $0.name == name } }

    func initializer(_ name: String) -> Tensor? { id(of: name).flatMap { initializers[$0] } }

    func names(_ ids: [ValueID?]) -> [String] { ids.map { $0.map { values[$0].name } ?? "" } }

    func node(_ name: String) -> Node? { nodes.first { $0.name == name } }
}

/// Loads a graph and checks its invariants.
func loadGraph(_ bytes: [UInt8]) throws -> Graph {
    let graph = try ONNXModel(bytes: bytes).graph
    try graph.validate()
    return graph
}

/// The first tensor of a model that is nothing but an initializer.
func loadTensor(_ proto: Proto) throws -> Tensor {
    let graph = try loadGraph(modelBytes(graphProto(initializers: [proto])))
    return try #require(graph.initializers.values.first)
}

/// What expected.json says of a tensor.
struct ExpectedTensor: Decodable {
    var type: Int32
    var shape: [Int]
    var bytes: String?
    var strings: [String]?

    func check(_ tensor: Tensor, _ name: String) {
        #expect(tensor.dtype.rawValue == type, "\(name)")
        #expect(tensor.shape.dimensions == shape, "\(name)")
        if let strings { #expect(tensor.strings == strings, "\(name)") }
        if let bytes {
            #expect(tensor.bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() == bytes, "\(name)")
        }
    }
}

/// A node of an inlined graph as expected.json says.
struct ExpectedNode: Decodable {
    struct Inner: Decodable {
        var attribute: String
        var nodes: [ExpectedNode]

        init(from decoder: any Decoder) throws {
            var container = try decoder.unkeyedContainer()
            attribute = try container.decode(String.self)
            nodes = try container.decode([ExpectedNode].self)
        }
    }

    var type: String
    var attributes: [String: Double]
    var graphs: [Inner]

    /// Compares nodes in order, with their numbers and graphs.
    static func check(_ graph: Graph, _ expected: [ExpectedNode]) throws {
        try #require(graph.nodes.map(\.identity.type) == expected.map(\.type))
        for (node, expected) in zip(graph.nodes, expected) {
            var numbers: [String: Double] = [:]
            for name in node.attributes.names {
                switch node.attributes[name] {
                case .float(let value): numbers[name] = Double(value)
                case .int(let value): numbers[name] = Double(value)
                default: break
                }
            }
            #expect(numbers == expected.attributes)
            let graphs = node.attributes.graphs
            try #require(graphs.map(\.attribute) == expected.graphs.map(\.attribute))
            for (found, expected) in zip(graphs, expected.graphs) { try check(found.graph, expected.nodes) }
        }
    }
}

struct Expectations: Decodable {
    var encodings: [String: ExpectedTensor]
    var external: [String: ExpectedTensor]
    var sparse: [String: ExpectedTensor]
    var functions: [ExpectedNode]

    static func load() throws -> Expectations {
        try JSONDecoder().decode(Expectations.self, from: Data(contentsOf: fixtures.appendingPathComponent("expected.json")))
    }
}
