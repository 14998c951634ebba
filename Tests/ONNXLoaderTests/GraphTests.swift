import GraphRuntime
import ONNXLoader
import Testing

/// What a graph means: names, scopes, order, attributes, types.
@Suite struct GraphTests {
    private func fail(_ text: String, opsets: [(String, Int64)] = [("", 17)], _ graph: Proto) {
        expectFailure(.graph, text) { _ = try loadGraph(modelBytes(graph, opsets: opsets)) }
    }

    @Test func optionalInputsAndOutputs() throws {
        let node = nodeProto("Clip", ["x", "", "max"], ["y", ""], name: "clip")
        let graph = try loadGraph(modelBytes(graphProto(nodes: [node], inputs: ["x", "max"], outputs: ["y"])))
        #expect(graph.names(graph.nodes[0].inputs) == ["x", "", "max"])
        #expect(graph.nodes[0].inputs[1] == nil)
        #expect(graph.nodes[0].outputs[1] == nil)
    }

    @Test func versionsByDomain() throws {
        let nodes = [
            nodeProto("Relu", ["x"], ["a"]), nodeProto("Relu", ["a"], ["b"], domain: "ai.onnx"),
            nodeProto("Gelu", ["b"], ["y"], domain: "com.microsoft"),
        ]
        let bytes = modelBytes(
            graphProto(nodes: nodes, inputs: ["x"], outputs: ["y"]), opsets: [("ai.onnx", 13), ("com.microsoft", 1)])
        let model = try ONNXModel(bytes: bytes)
        #expect(model.opsetImports == ["": 13, "com.microsoft": 1])
        #expect(
            model.graph.nodes.map(\.identity) == [
                OperatorIdentity(type: "Relu", version: 13), OperatorIdentity(type: "Relu", version: 13),
                OperatorIdentity(domain: "com.microsoft", type: "Gelu", version: 1),
            ])
        // Older optimisers left the import of their own domain out.
        let bare = try ONNXModel(bytes: modelBytes(graphProto(nodes: nodes, inputs: ["x"]), opsets: [("", 13)]))
        #expect(bare.graph.nodes.last?.identity == OperatorIdentity(domain: "com.microsoft", type: "Gelu", version: 1))
        let foreign = [nodeProto("Gelu", ["x"], ["y"], domain: "org.example")]
        fail("doesn't import the operators of the domain \"org.example\"", graphProto(nodes: foreign, inputs: ["x"]))
        fail("imports two versions", opsets: [("", 1), ("ai.onnx", 2)], graphProto())
        fail("imports version 0", opsets: [("", 0)], graphProto())
        fail("domain \"\"", opsets: [], graphProto(nodes: [nodeProto("Relu", ["x"], ["y"])], inputs: ["x"]))
        let old = try ONNXModel(bytes: modelBytes(graphProto(), irVersion: 2, opsets: []))
        #expect(old.opsetImports == ["": 1])
    }

    @Test func nodesAreSorted() throws {
        let nodes = [
            nodeProto("C", ["b"], ["c"]), nodeProto("B", ["a"], ["b"]), nodeProto("A", ["x"], ["a"]),
        ]
        let graph = try loadGraph(modelBytes(graphProto(nodes: nodes, inputs: ["x"], outputs: ["c"])))
        #expect(graph.nodes.map(\.identity.type) == ["A", "B", "C"])
    }

    @Test func cycles() {
        fail("cycle", graphProto(nodes: [nodeProto("A", ["b"], ["a"]), nodeProto("B", ["a"], ["b"])], outputs: ["b"]))
        fail("cycle", graphProto(nodes: [nodeProto("A", ["a"], ["a"])]))
        let inner = graphProto(nodes: [nodeProto("Neg", ["y"], ["z"])], outputs: ["z"])
        fail(
            "cycle",
            graphProto(
                nodes: [nodeProto("If", ["c"], ["y"], attributes: [graphAttribute("then_branch", inner)])], inputs: ["c"]))
        let circle = graphProto(nodes: [nodeProto("A", ["b"], ["a"]), nodeProto("B", ["a"], ["b"])], outputs: ["b"])
        fail(
            "node If: graph \"g\": the graph has a cycle",
            graphProto(nodes: [nodeProto("If", [], [], attributes: [graphAttribute("g", circle)])]))
    }

    @Test func namesWithoutSourceOrWithTwo() {
        let relu = nodeProto("Relu", ["x"], ["y"], name: "relu")
        fail("node Relu \"relu\": nothing produces the input \"x\"", graphProto(nodes: [relu], outputs: ["y"]))
        fail("nothing produces the output \"z\"", graphProto(nodes: [relu], inputs: ["x"], outputs: ["z"]))
        fail("the output \"y\" has another source", graphProto(nodes: [relu, relu], inputs: ["x"]))
        fail("the output \"y\" has another source", graphProto(nodes: [relu], inputs: ["x", "y"]))
        fail(
            "the output \"y\" has another source",
            graphProto(nodes: [relu], inputs: ["x"], initializers: [floatTensor("y", [1])]))
        fail("an initializer without a name", graphProto(initializers: [floatTensor("", [1])]))
        fail("the input \"x\" is listed twice", graphProto(inputs: ["x", "x"]))
        fail("an input without a name", graphProto(inputs: [""]))
        fail("no operator type", graphProto(nodes: [nodeProto("", ["x"], ["y"])], inputs: ["x"]))
    }

    /// What is given twice and can't mean two things is taken, the rest refused with its name.
    @Test func duplicates() throws {
        let relu = nodeProto("Relu", ["x"], ["y"], name: "relu")
        let twice = try loadGraph(modelBytes(graphProto(nodes: [relu], inputs: ["x"], outputs: ["y", "x", "y"])))
        #expect(twice.names(twice.outputs) == ["y", "x", "y"])
        let branch = graphProto(nodes: [nodeProto("Neg", ["x"], ["t"])], outputs: ["t", "t"])
        let choice = nodeProto("If", ["x"], ["y", "z"], attributes: [graphAttribute("then_branch", branch)])
        let inner = try loadGraph(modelBytes(graphProto(nodes: [choice], inputs: ["x"], outputs: ["y"])))
        #expect(inner.nodes[0].attributes.graphs[0].graph.outputs.count == 2)

        fail(
            "the initializer \"w\" is defined twice with different values: remove one of them from graph.initializer",
            graphProto(initializers: [floatTensor("w", [1]), floatTensor("w", [2])]))
        fail(
            "the initializer \"w\" is defined twice with different values",
            graphProto(initializers: [
                floatTensor("w", [1]), tensorProto("w", type: 6, dims: [1]) { $0.data(9, [0, 0, 128, 63]) },
            ]))
        let same = try loadGraph(modelBytes(graphProto(initializers: [floatTensor("w", [.nan]), floatTensor("w", [.nan])])))
        #expect(same.initializers.count == 1)
        var sparse = Proto()
        sparse.message(1, floatTensor("w", [2]))
        sparse.message(2, tensorProto("", type: 7, dims: [1]) { $0.packed(7, [0]) })
        sparse.int(3, 1)
        fail(
            "the initializer \"w\" is defined twice",
            graphProto(initializers: [floatTensor("w", [1])]) { $0.message(15, sparse) })

        fail("the input \"x\" is listed twice: give each a name of its own", graphProto(inputs: ["x", "x"]))
        fail("the output \"y\" has another source already: give each", graphProto(nodes: [relu, relu], inputs: ["x"]))
        fail("the output \"y\" has another source", graphProto(nodes: [nodeProto("Split", ["x"], ["y", "y"])], inputs: ["x"]))
        fail("imports two versions of the operators of \"\": keep one", opsets: [("", 17), ("ai.onnx", 16)], graphProto())
        #expect(try ONNXModel(bytes: modelBytes(graphProto(), opsets: [("", 17), ("ai.onnx", 17)])).opsetImports == ["": 17])

        fail(
            "value \"t\": it is declared twice, as float32[3] and as int64[3]: keep one of them",
            graphProto {
                $0.message(13, valueProto("t", ["3"]))
                $0.message(13, valueProto("t", elementType: 7, ["3"]))
            })
        let shapes = try loadGraph(
            modelBytes(
                graphProto(nodes: [relu], inputs: ["x"]) {
                    $0.message(13, valueProto("y", ["n"]))
                    $0.message(13, valueProto("y", ["4"]))
                    // An input's own declaration holds over those of other lists.
                    $0.message(13, valueProto("x", elementType: 7, ["3"]))
                }))
        #expect(shapes.values.map(\.type) == [.tensor(.float32, nil), .tensor(.float32, [.fixed(4)])])

        var metadata = Proto()
        metadata.bytes = modelBytes(graphProto())
        for value in ["first", "last"] {
            var entry = Proto()
            entry.string(1, "key")
            entry.string(2, value)
            metadata.message(14, entry)
        }
        #expect(try ONNXModel(bytes: metadata.bytes).metadata == ["key": "last"])
    }

    @Test func initializersThatAreInputs() throws {
        let graph = try loadGraph(
            modelBytes(graphProto(inputs: ["x", "w"], initializers: [floatTensor("w", [1])]), irVersion: 3))
        #expect(graph.names(graph.inputs) == ["x", "w"])
        #expect(graph.initializer("w")?.count == 1)
        #expect(graph.values.count == 2)
    }

    /// Exporters let inner graphs hide outer names, and give out outer values as they are.
    @Test func scopes() throws {
        let shadowing = graphProto(
            nodes: [nodeProto("Neg", ["x"], ["t"])], outputs: ["t"], initializers: [floatTensor("x", [5])])
        let passing = graphProto(outputs: ["x"])
        let branch = nodeProto(
            "If", ["c"], ["y"], attributes: [graphAttribute("then_branch", shadowing), graphAttribute("else_branch", passing)])
        let graph = try loadGraph(
            modelBytes(graphProto(nodes: [nodeProto("Abs", ["i"], ["x"]), branch], inputs: ["c", "i"], outputs: ["y"])))
        let node = try #require(graph.nodes.last)
        #expect(graph.names(node.captures) == ["x"])
        let graphs = node.attributes.graphs.map(\.graph)
        #expect(graphs[0].captures.isEmpty)
        #expect(graphs[1].captures == graphs[1].outputs)
        for graph in graphs { try graph.validate() }
    }

    @Test func attributes() throws {
        let node = nodeProto(
            "Custom", [], ["y"],
            attributes: [
                attributeProto("int", type: 2) { $0.int(3, -5) },
                attributeProto("untyped", type: nil) { $0.int(3, 6) },
                attributeProto("zero", type: 2),
                attributeProto("text", type: 3) { $0.string(4, "ü") },
                attributeProto("ints", type: 7) { $0.packed(8, [1, 2]) },
                attributeProto("none", type: 7),
                attributeProto("floats", type: 6) { $0.data(7, littleEndian([1.5, 2])) },
                attributeProto("strings", type: 8) { for text in ["a", "b"] { $0.string(9, text) } },
                attributeProto("tensor", type: 4) { $0.message(5, floatTensor("", [1, 2])) },
                attributeProto("tensors", type: 9) { $0.message(10, floatTensor("", [1])) },
                attributeProto("graphs", type: 10) { for name in ["a", "b"] { $0.message(11, graphProto(inputs: [name])) } },
                attributeProto("type", type: 13) { proto in
                    var tensor = Proto()
                    tensor.int(1, 7)
                    var sequence = Proto()
                    sequence.message(1, tensor)
                    var element = Proto()
                    element.message(1, sequence)
                    var type = Proto()
                    type.message(4, element)
                    proto.message(14, type)
                },
            ])
        let loaded = try #require(try loadGraph(modelBytes(graphProto(nodes: [node]))).nodes.first).attributes
        func expect(_ name: String, _ check: (AttributeValue) -> Bool) { #expect(loaded[name].map(check) == true, "\(name)") }
        expect("int") { if case .int(-5) = $0 { true } else { false } }
        expect("untyped") { if case .int(6) = $0 { true } else { false } }
        expect("zero") { if case .int(0) = $0 { true } else { false } }
        expect("text") { if case .string("ü") = $0 { true } else { false } }
        expect("ints") { if case .ints([1, 2]) = $0 { true } else { false } }
        expect("none") { if case .ints([]) = $0 { true } else { false } }
        expect("floats") { if case .floats([1.5, 2]) = $0 { true } else { false } }
        expect("strings") { if case .strings(["a", "b"]) = $0 { true } else { false } }
        expect("tensor") { if case .tensor(let tensor) = $0 { tensor.count == 2 } else { false } }
        expect("tensors") { if case .tensors(let tensors) = $0 { tensors.count == 1 } else { false } }
        expect("graphs") { if case .graphs(let graphs) = $0 { graphs.map { $0.values[0].name } == ["a", "b"] } else { false } }
        expect("type") { if case .type(.sequence(.tensor(.int64, nil))) = $0 { true } else { false } }
    }

    @Test func wrongAttributes() {
        func fail(_ kind: LoadError.Kind, _ text: String, _ attributes: Proto...) {
            expectFailure(kind, text) {
                _ = try loadGraph(modelBytes(graphProto(nodes: [nodeProto("A", [], ["y"], name: "n", attributes: attributes)])))
            }
        }
        let int = attributeProto("a", type: 2) { $0.int(3, 1) }
        fail(.graph, "node A \"n\": the attribute a is given twice", int, int)
        fail(.unsupported, "node A \"n\": attribute a: the attribute type 77 isn't known", attributeProto("a", type: 77))
        fail(
            .graph, "the stated type is float, but a value of type int is given", attributeProto("a", type: 1) { $0.int(3, 1) })
        fail(.graph, "the type isn't stated", attributeProto("a", type: nil))
        fail(.graph, "has no name", attributeProto("", type: 2))
        fail(.graph, "the tensor is missing", attributeProto("a", type: 4))
        fail(.graph, "the graph is missing", attributeProto("a", type: 5))
        fail(.unsupported, "isn't UTF-8", attributeProto("a", type: 3) { $0.data(4, [0xFF]) })
        fail(.graph, "refers to f of a function, but isn't in one", attributeProto("a", type: 2) { $0.string(21, "f") })
        fail(
            .tensor, "attribute a: tensor \"t\": raw_data",
            attributeProto("a", type: 4) { proto in
                proto.message(5, tensorProto("t", type: 1, dims: [2]) { $0.data(9, [1]) })
            })
    }

    @Test func declaredTypes() throws {
        var graph = graphProto()
        graph.message(11, valueProto("x", ["batch", "3", "", "-1"]))
        graph.message(11, valueProto("unranked", elementType: 10))
        graph.message(11, valueProto("untyped", elementType: 0))
        let loaded = try loadGraph(modelBytes(graph))
        #expect(
            loaded.values.map(\.type) == [
                .tensor(.float32, [.symbolic("batch"), .fixed(3), .unknown, .unknown]), .tensor(.float16, nil), nil,
            ])
        fail("value \"x\": a declared shape has the extent -7", graphProto { $0.message(11, valueProto("x", ["-7"])) })
        expectFailure(.unsupported, "value \"x\": the element type 99 isn't known") {
            _ = try loadGraph(modelBytes(graphProto { $0.message(11, valueProto("x", elementType: 99)) }))
        }
    }
}
