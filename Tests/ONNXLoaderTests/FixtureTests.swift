import Foundation
import GraphRuntime
import ONNXLoader
import TestSupport
import Testing

/// Files that the onnx package wrote, against what the onnx package reads out of them.
@Suite struct FixtureTests {
    @Test func everyEncoding() throws {
        let model = try ONNXModel(contentsOf: fixtures.appendingPathComponent("encodings.onnx"))
        let expected = try Expectations.load().encodings
        #expect(model.graph.initializers.count == expected.count)
        #expect(Set(expected.values.map(\.type)).count == DType.allCases.count)
        for (name, tensor) in expected { tensor.check(try #require(model.graph.initializer(name)), name) }
        #expect(model.producerName == "loader_models")
        #expect(model.docString == "Every encoding")
        #expect(model.metadata == ["author": "loader_models.py"])
        #expect(model.opsetImports == ["": 21])
        #expect(model.irVersion == 10)
        let input = try #require(model.graph.inputs.first)
        #expect(model.graph.values[input].type == .tensor(.float32, [.symbolic("batch"), .unknown, .fixed(3)]))
        #expect(model.summary.nodeCount == 1)
        #expect(model.summary.operatorCounts == ["Relu": 1])
    }

    @Test(arguments: ["external-model.onnx_data", "external-weights.pb", "external-files"])
    func externalData(_ folder: String) throws {
        let model = try ONNXModel(contentsOf: fixtures.appendingPathComponent(folder).appendingPathComponent("model.onnx"))
        let expected = try Expectations.load().external
        #expect(model.graph.initializers.count == expected.count)
        for (name, tensor) in expected { tensor.check(try #require(model.graph.initializer(name)), name) }
    }

    @Test func sparseTensors() throws {
        let graph = try ONNXModel(contentsOf: fixtures.appendingPathComponent("sparse.onnx")).graph
        let expected = try Expectations.load().sparse
        try #require(expected["linear"]).check(try #require(graph.initializer("linear")), "linear")
        try #require(expected["coordinates"]).check(try #require(graph.initializer("coordinates")), "coordinates")
        let constant = try #require(graph.nodes.first { $0.identity.type == "Constant" })
        guard case .tensor(let tensor) = constant.attributes["sparse_value"] else {
            Issue.record("expected a tensor")
            return
        }
        try #require(expected["constant"]).check(tensor, "constant")
    }

    @Test func functions() throws {
        let graph = try ONNXModel(contentsOf: fixtures.appendingPathComponent("functions.onnx")).graph
        try graph.validate()
        try ExpectedNode.check(graph, try Expectations.load().functions)
        #expect(graph.nodes.allSatisfy { $0.identity.version == 18 && $0.identity.domain.isEmpty })
        let names = graph.values.map(\.name)
        #expect(Set(names).count == names.count)
    }

    @Test func subgraphs() throws {
        let graph = try ONNXModel(contentsOf: fixtures.appendingPathComponent("subgraphs.onnx")).graph
        try graph.validate()
        #expect(graph.nodes.map(\.name) == ["neg", "loop"])
        let loop = graph.nodes[1]
        #expect(graph.names(loop.inputs) == ["count", "", "x"])
        #expect(Set(graph.names(loop.captures)) == ["weight", "beside"])
        let body = try #require(loop.attributes.graphs.first?.graph)
        try body.validate()
        #expect(body.names(body.inputs) == ["iteration", "keep_in", "state"])
        #expect(body.names(body.captures) == graph.names(loop.captures))
        let inner = try #require(body.node("inner"))
        let branches = inner.attributes.graphs.map(\.graph)
        for branch in branches { try branch.validate() }
        #expect(body.names(inner.captures) == branches.flatMap { $0.names($0.captures) })
        let captured = Dictionary(uniqueKeysWithValues: branches.map { ($0.name, Set($0.names($0.captures))) })
        #expect(captured == ["inner_then": ["state", "weight"], "inner_else": ["state", "beside"]])
    }

    @Test(arguments: 3...12) func irVersion(_ version: Int) throws {
        let model = try ONNXModel(contentsOf: fixtures.appendingPathComponent("ir\(version).onnx"))
        try model.graph.validate()
        #expect(model.irVersion == version)
        #expect(model.graph.nodes[0].identity == OperatorIdentity(type: "Add", version: 7 + version))
        #expect(model.graph.names(model.graph.inputs) == (version < 4 ? ["x", "w"] : ["x"]))
        try expectEqual(#require(try model.graph.initializer("w")), [1, 2, 3] as [Float])
    }

    @Test func values() throws {
        func value(_ name: String, _ type: ValueType?) throws -> Value {
            try ONNXModel.value(contentsOf: fixtures.appendingPathComponent(name + ".pb"), as: type)
        }
        let tensor = try ONNXModel.tensor(contentsOf: fixtures.appendingPathComponent("tensor.pb"))
        try expectEqual(tensor, [0, 1, 2, 3] as [Int64])
        let floats = ValueType.tensor(.float32, nil)
        for (name, type) in [("sequence", ValueType.sequence(floats)), ("optional_sequence", .optional(.sequence(floats)))] {
            let sequence = try value(name, type).asSequence()
            #expect(sequence.map(\.shape.dimensions) == [[2, 3], [1]])
            try expectEqual(sequence[0], [0, 1, 2, 3, 4, 5] as [Float])
        }
        let double = try value("optional_tensor", .optional(.tensor(.float64, nil))).asTensor()
        try expectEqual(double, [1.5] as [Double])
        guard case .empty = try value("optional_empty", .optional(floats)) else {
            Issue.record("expected an empty optional")
            return
        }
        expectFailure(.unsupported, "maps with keys of type float32") { _ = try value("sequence", .map(.int64, floats)) }
    }

    /// What `ValueEncoding` writes of maps is read again, in any order of keys, and what isn't a map is refused.
    @Test func maps() throws {
        let type = ValueType.map(.string, .tensor(.float32, nil))
        let map = try ValueMap(keys: Tensor(strings: ["b", "a"], shape: Shape([2])), values: Tensor([2, 1] as [Float]))
        let numbers = try ValueMap(keys: Tensor([-3, 7] as [Int64]), values: Tensor(strings: ["x", ""], shape: Shape([2])))
        let cases: [(Value, ValueType)] = [
            (.map(map), type), (.maps([map, map]), .sequence(type)), (.maps([]), .sequence(type)), (.map(numbers), type),
            (.map(map), .optional(type)), (.maps([map]), .optional(.sequence(type))),
        ]
        for (value, type) in cases {
            let bytes = try ValueEncoding.message(value, name: "m", as: type)
            let read = try ONNXModel.value(bytes: bytes, as: type)
            #expect(try ValueMatch.difference(read, value, within: .standard) == nil, "\(read.kind)")
        }
        let turned = try ValueMap(keys: Tensor(strings: ["a", "b"], shape: Shape([2])), values: Tensor([1, 2] as [Float]))
        #expect(try ValueMatch.difference(.map(map), .map(turned), within: .standard) == nil)
        #expect(throws: TensorError.self) { try ValueMap(keys: Tensor([1, 1] as [Int64]), values: Tensor([1, 2] as [Float])) }
        #expect(throws: TensorError.self) { try ValueMap(keys: Tensor([1] as [Int64]), values: Tensor([1, 2] as [Float])) }
        #expect(throws: TensorError.self) { try ValueMap(keys: Tensor([1] as [Float]), values: Tensor([1] as [Float])) }
    }

    /// The embedded pipeline's graphs: exporters' own output.
    @Test(arguments: ["text_encoder", "unet", "vae_decoder", "vae_encoder"]) func embeddedModel(_ part: String) throws {
        let root = fixtures.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let model = try ONNXModel(contentsOf: root.appendingPathComponent("Models/emoji/\(part)/model.onnx"))
        try model.graph.validate()
        #expect(model.summary.parameterCount > 100_000)
    }
}
