import Foundation
import GraphRuntime
import ONNXLoader
import Testing

/// Small files that ask for much.
@Suite struct ResourceLimitTests {
    private func sparse(_ name: String, _ extent: Int64) -> Proto {
        var sparse = Proto()
        sparse.message(1, floatTensor(name, [1]))
        sparse.message(2, tensorProto("", type: 7, dims: [1]) { $0.packed(7, [0]) })
        sparse.int(3, extent)
        return sparse
    }

    /// The sizes of all are counted before memory is taken for the first.
    @Test func sparseTensorsInTotal() throws {
        let bytes = modelBytes(
            graphProto { proto in for name in ["a", "b", "c", "d"] { proto.message(15, sparse(name, 1 << 28)) } })
        TensorStorage.resetPeak()
        let before = TensorStorage.peakBytes
        expectFailure(.limit, "loading takes more than 2147483648 bytes of memory, the limit of a load") {
            _ = try ONNXModel(bytes: bytes)
        }
        #expect(TensorStorage.peakBytes - before < 1 << 28)
        var limits = ResourceLimits()
        limits.loadedBytes = 10_000
        let small = modelBytes(graphProto { $0.message(15, sparse("a", 1000)) })
        #expect(try ONNXModel(bytes: small, limits: limits).graph.initializer("a")?.byteCount == 4000)
        expectFailure(.limit, "loading takes more than 10000 bytes") {
            _ = try ONNXModel(bytes: modelBytes(graphProto { $0.message(15, sparse("a", 2500)) }), limits: limits)
        }
        // As attributes, too.
        let nodes = (0..<4).map { index in
            nodeProto(
                "Constant", [], ["c\(index)"],
                attributes: [attributeProto("a", type: 11) { $0.message(22, sparse("", 1 << 28)) }])
        }
        expectFailure(.limit, "loading takes more than 2147483648 bytes") {
            _ = try ONNXModel(bytes: modelBytes(graphProto(nodes: nodes)))
        }
    }

    @Test func messages() throws {
        // Two bytes each: a node without anything.
        var graph = Proto()
        for _ in 0..<100_000 { graph.message(13, Proto()) }
        let bytes = modelBytes(graph)
        #expect(try ONNXModel(bytes: bytes).graph.nodes.isEmpty)
        var limits = ResourceLimits()
        limits.messages = 50_000
        expectFailure(.limit, "the file has more than 50000 messages, the limit of a load") {
            _ = try ONNXModel(bytes: bytes, limits: limits)
        }
        limits = ResourceLimits(memory: 10_000_000)
        expectFailure(.limit, "loading takes more than 10000000 bytes") { _ = try ONNXModel(bytes: bytes, limits: limits) }
    }

    @Test func tensorsAndNodes() throws {
        let bytes = modelBytes(
            graphProto(
                nodes: (0..<100).map { nodeProto("Relu", ["w0"], ["y\($0)"]) },
                initializers: (0..<100).map { floatTensor("w\($0)", [1]) }))
        var limits = ResourceLimits()
        (limits.tensors, limits.nodes) = (100, 100)
        #expect(try ONNXModel(bytes: bytes, limits: limits).graph.nodes.count == 100)
        limits.tensors = 99
        expectFailure(.limit, "the file has more than 99 tensors, the limit of a load") {
            _ = try ONNXModel(bytes: bytes, limits: limits)
        }
        (limits.tensors, limits.nodes) = (100, 99)
        expectFailure(.limit, "the graph has more than 99 nodes, the limit of a load") {
            _ = try ONNXModel(bytes: bytes, limits: limits)
        }
    }

    /// Repeated fields that protobuf takes the last of, numbers in millions of fields of their own.
    @Test(.timeLimit(.minutes(20))) func fieldsWithoutEnd() throws {
        var tensor = tensorProto("w", type: 1, dims: [1])
        for index in 0..<200_000 { tensor.data(index % 2 == 0 ? 9 : 4, index % 2 == 0 ? [0, 0, 0, 0] : []) }
        let graph = try loadGraph(modelBytes(graphProto(initializers: [tensor])))
        #expect(try graph.initializer("w")?.array(of: Float.self) == [0])
        let numbers = modelBytes(
            graphProto(nodes: [
                nodeProto(
                    "A", [], ["y"],
                    attributes: [attributeProto("a", type: 7) { $0.packed(8, .init(repeating: 0, count: 1_000_000)) }])
            ]))
        expectFailure(.limit, "loading takes more than 9000000 bytes") {
            _ = try ONNXModel(bytes: numbers, limits: .init(memory: 9_000_000))
        }
    }

    /// Messages stay short, whatever the file's ranks, names and lists.
    @Test func errorsAreShort() throws {
        let long = String(repeating: "n", count: 1_000_000)
        let dims = [Int64](repeating: 1, count: 100_000)
        let models: [(LoadError.Kind, String, Proto)] = [
            (
                .tensor, "a shape has 100000 axes, expected at most 64",
                graphProto(initializers: [tensorProto("w", type: 1, dims: dims)])
            ),
            (.tensor, "a shape has 100000 axes", graphProto(initializers: [tensorProto(long, type: 1, dims: dims)])),
            (
                .graph, "a declared shape has 65 axes, expected at most 64",
                graphProto { $0.message(11, valueProto("x", .init(repeating: "1", count: 65))) }
            ),
            (.graph, "nothing produces the output", graphProto(outputs: [long])),
            (
                .graph, "nothing produces the input",
                graphProto(nodes: [nodeProto(long, [long], ["y"], name: long, domain: "local")])
            ),
            (.graph, "the initializer", graphProto(initializers: [floatTensor(long, [1]), floatTensor(long, [2])])),
            (.graph, "doesn't import", graphProto(nodes: [nodeProto("A", [], ["y"], domain: long)])),
            (.externalData, "have no location", graphProto(initializers: [externalTensor(long, count: 1, [(long, "")])])),
        ]
        try withTemporaryFolder { folder in
            for (kind, text, graph) in models {
                do {
                    _ = try ONNXModel(bytes: modelBytes(graph), baseDirectory: folder)
                    Issue.record("expected an error with \(text)")
                } catch let error as LoadError {
                    #expect(error.kind == kind && error.message.contains(text), "\(text): \(error)")
                    #expect(error.description.utf8.count < 3000)
                }
            }
            let url = folder.appendingPathComponent("model.onnx")
            for (location, kind) in [
                (long, LoadError.Kind.file), ("../" + long, .externalData), ("/" + long, .externalData),
                ("." + long, .externalData),
            ] {
                try Data(modelBytes(graphProto(initializers: [externalTensor("w", count: 1, [("location", location)])]))).write(
                    to: url)
                let error = try #require(throws: LoadError.self) { try ONNXModel(contentsOf: url) }
                #expect(error.kind == kind && error.description.utf8.count < 3000)
            }
        }
    }

    /// Tens of thousands of inputs, outputs and nodes take no time that grows with their square.
    @Test(.timeLimit(.minutes(20))) func manyOutputs() throws {
        let names = (0..<50_000).map { "y\($0)" }
        let graph = graphProto(nodes: names.map { nodeProto("Relu", ["x"], [$0]) }, inputs: ["x"], outputs: names + names)
        #expect(try loadGraph(modelBytes(graph)).outputs.count == 100_000)
    }
}
