import GraphRuntime
import ONNXLoader
import TestSupport
import Testing

/// Bytes that aren't a model.
@Suite struct WireFormatTests {
    /// A small model that holds every kind of message and field that the loader reads.
    static func sample() -> [UInt8] {
        let inner = graphProto(nodes: [nodeProto("Add", ["x", "w"], ["z"], name: "add")], outputs: ["z"])
        let call = nodeProto("Twice", ["x"], ["t"], name: "call", domain: "local")
        let branch = nodeProto(
            "If", ["c"], ["y"], name: "if",
            attributes: [graphAttribute("then_branch", inner), graphAttribute("else_branch", inner)])
        let function = functionProto(
            "Twice", inputs: ["a"], outputs: ["b"],
            nodes: [
                nodeProto(
                    "LeakyRelu", ["a"], ["b"],
                    attributes: [
                        attributeProto("alpha", type: 1) {
                            $0.tag(2, 5)
                            $0.raw(littleEndian([0.5]))
                        }
                    ])
            ])
        var sparse = Proto()
        sparse.message(1, floatTensor("s", [1, 2]))
        sparse.message(2, tensorProto("", type: 7, dims: [2]) { $0.packed(7, [1, 3]) })
        sparse.int(3, 4)
        let graph = graphProto(
            nodes: [call, branch], inputs: ["x", "c"], outputs: ["y"],
            initializers: [
                floatTensor("w", [1, 2, 3]),
                tensorProto("strings", type: 8, dims: [2]) { for text in ["a", "ü"] { $0.string(6, text) } },
                tensorProto("halves", type: 10, dims: [2]) { $0.packed(5, [1, 2]) },
                tensorProto("doubles", type: 11, dims: [1]) { $0.data(10, [0, 0, 0, 0, 0, 0, 0xF0, 0x3F]) },
            ]
        ) {
            $0.message(13, valueProto("t", ["batch", "4"]))
            $0.message(15, sparse)
        }
        return modelBytes(graph, functions: [function])
    }

    @Test func sampleLoads() throws {
        let graph = try loadGraph(Self.sample())
        #expect(graph.nodes.map(\.identity.type) == ["LeakyRelu", "If"])
        #expect(graph.initializers.count == 5)
    }

    /// A prefix may end between two fields of the outermost message, but never within one.
    @Test func everyTruncation() {
        let bytes = Self.sample()
        var failures = 0
        for count in 0..<bytes.count {
            do {
                _ = try ONNXModel(bytes: Array(bytes.prefix(count)))
            } catch {
                #expect(error is LoadError, "\(count) bytes: \(error)")
                failures += 1
            }
        }
        // The opset imports and the function come last.
        #expect(failures >= bytes.count - 3)
    }

    /// Changes bytes at random: whatever comes of it, it is a model or an error.
    @Test func randomChanges() {
        let bytes = Self.sample()
        var state: UInt64 = 42
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(truncatingIfNeeded: (state >> 33) % UInt64(bound))
        }
        var loaded = 0
        for _ in 0..<40_000 {
            var changed = bytes
            for _ in 0...random(4) {
                switch random(4) {
                case 0: changed[random(changed.count)] = UInt8(random(256))
                case 1: changed[random(changed.count)] ^= UInt8(1 << random(8))
                case 2 where changed.count > 8: changed.remove(at: random(changed.count))
                default: changed.insert(UInt8(random(256)), at: random(changed.count))
                }
            }
            do {
                let model = try ONNXModel(bytes: changed)
                try model.graph.validate()
                loaded += 1
            } catch {
                if !(error is LoadError) { Issue.record("\(error)") }
            }
        }
        #expect(loaded > 100)
        #expect(loaded < 39_000)
    }

    @Test func wrongBytes() {
        func fail(_ text: String, _ bytes: [UInt8]) {
            expectFailure(.wireFormat, text) { _ = try ONNXModel(bytes: bytes) }
        }
        expectFailure(.graph, "the file is empty") { _ = try ONNXModel(bytes: []) }
        expectFailure(.graph, "no graph") { _ = try ONNXModel(bytes: [8, 8]) }
        fail("cut off", [0x3A, 0x20, 0])
        fail("cut off", [0x3A])
        fail("cut off", [0x0D, 1, 2])
        fail("cut off", [0x3A] + [UInt8](repeating: 0xFF, count: 9) + [0x01])
        fail("more than 10 bytes", [0x08] + [UInt8](repeating: 0xFF, count: 11))
        fail("no number of a field", [0x00, 0x00])
        fail("unknown wire type 3", [0x0B])
        fail("graph of ModelProto has the wire type varint, expected bytes", [0x38, 0x01])
        fail("ir_version of ModelProto has the wire type fixed32", [0x0D, 0, 0, 0, 0])
        fail("two of graph", modelBytes(graphProto()) + [0x3A, 0x00])
        fail("field 14 has the unknown wire type 4", Array("this is a text, not a model".utf8) + [0])
    }

    @Test func errorsNameTheByte() {
        do {
            _ = try ONNXModel(bytes: [8, 8, 0x3A, 0x20, 0])
            Issue.record("expected an error")
        } catch {
            #expect((error as? LoadError)?.byteOffset == 3)
        }
    }

    @Test func unknownFieldsAreSkipped() throws {
        var graph = graphProto(initializers: [floatTensor("w", [1])])
        graph.string(999, "later versions")
        graph.int(1000, 5)
        // The number that the loader uses for itself must do nothing in a file.
        var tensor = floatTensor("v", [2])
        tensor.int(500_000_000, 7)
        graph.message(5, tensor)
        let loaded = try loadGraph(modelBytes(graph))
        try expectEqual(#require(try loaded.initializer("w")), [1] as [Float])
        try expectEqual(#require(try loaded.initializer("v")), [2] as [Float])
    }

    @Test func textThatIsNone() throws {
        for name in [[0xFF, 0xFE], [0x61, 0x00, 0x62], [0xC3]] as [[UInt8]] {
            expectFailure(.wireFormat, "input of NodeProto isn't UTF-8 text without zeros") {
                var node = nodeProto("Relu", [], ["y"])
                node.data(1, name)
                _ = try loadGraph(modelBytes(graphProto(nodes: [node])))
            }
        }
        let graph = try loadGraph(
            modelBytes(graphProto(nodes: [nodeProto("Relu", ["größe"], ["日本"])], inputs: ["größe"], outputs: ["日本"])))
        #expect(graph.names(graph.inputs + graph.outputs) == ["größe", "日本"])
        // Texts about parts of the model are passed over, whatever is in them.
        var documented = graphProto()
        documented.data(10, [0xFF])
        _ = try loadGraph(modelBytes(documented))
    }

    @Test func deepNesting() {
        func nested(_ depth: Int) -> Proto {
            var graph = graphProto(nodes: [nodeProto("Identity", ["c"], ["o"])], outputs: ["o"])
            for _ in 0..<depth {
                let branches = [graphAttribute("then_branch", graph)]
                graph = graphProto(nodes: [nodeProto("If", ["c"], ["o"], attributes: branches)], outputs: ["o"])
            }
            graph.message(11, valueProto("c"))
            return graph
        }
        #expect(throws: Never.self) { try loadGraph(modelBytes(nested(20))) }
        expectFailure(.wireFormat, "nested more than 100 deep") { _ = try loadGraph(modelBytes(nested(40))) }
    }

    @Test func irVersions() {
        for version in [0, -1, 15, .max] as [Int64] {
            expectFailure(.unsupported, "the IR version is \(version)") {
                _ = try loadGraph(modelBytes(graphProto(), irVersion: version))
            }
        }
    }
}
