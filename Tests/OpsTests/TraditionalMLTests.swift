import GraphRuntime
import Ops
import TestSupport
import Testing

/// What NodeCases has no case of: what is refused, and what no other runtime has.
struct TraditionalMLTests {
    private func run(
        _ type: String, version: Int = 3, _ attributes: KeyValuePairs<String, AttributeValue>, _ inputs: [Tensor],
        outputs: Int = 1
    ) throws {
        try run(type, version: version, NodeAttributes(attributes), inputs, outputs: outputs)
    }

    private func run(
        _ type: String, version: Int = 3, _ attributes: NodeAttributes, _ inputs: [Tensor], outputs: Int = 1
    ) throws {
        _ = try OpsTests.run(
            type, version: version, domain: "ai.onnx.ml", attributes: attributes, inputs: inputs, outputCount: outputs)
    }

    /// A tree of one comparison.
    private func stump(onTrue: Int64 = 1, onFalse: Int64 = 2, feature: Int64 = 0, target: Int64 = 0) -> NodeAttributes {
        NodeAttributes([
            "nodes_treeids": .ints([0, 0, 0]), "nodes_nodeids": .ints([0, 1, 2]), "nodes_featureids": .ints([feature, 0, 0]),
            "nodes_modes": .strings(["BRANCH_LEQ", "LEAF", "LEAF"]), "nodes_values": .floats([0.5, 0, 0]),
            "nodes_truenodeids": .ints([onTrue, 0, 0]), "nodes_falsenodeids": .ints([onFalse, 0, 0]),
            "target_treeids": .ints([0, 0]), "target_nodeids": .ints([1, 2]), "target_ids": .ints([0, target]),
            "target_weights": .floats([1, 2]), "n_targets": .int(1),
        ])
    }

    @Test func refusesTreesThatDoNotEnd() throws {
        let x = try floats([0, 1], [1, 2])
        try run("TreeEnsembleRegressor", stump(), [x])
        expectError("a tree comes back to a node above") { try run("TreeEnsembleRegressor", stump(onTrue: 0), [x]) }
        expectError("tree 0 goes on at node 7") { try run("TreeEnsembleRegressor", stump(onFalse: 7), [x]) }
        expectError("compares the feature -1") { try run("TreeEnsembleRegressor", stump(feature: -1), [x]) }
        expectError("expected 6 features, found 2") { try run("TreeEnsembleRegressor", stump(feature: 5), [x]) }
        expectError("target_ids has 3, expected 0 to 0") { try run("TreeEnsembleRegressor", stump(target: 3), [x]) }
        var attributes = stump()
        attributes["n_targets"] = .int(.max)
        expectError("expected 1 to 65536") { try run("TreeEnsembleRegressor", attributes, [x]) }
        attributes = stump()
        attributes["nodes_modes"] = .strings(["BRANCH_SOMETIMES", "LEAF", "LEAF"])
        expectError("BRANCH_SOMETIMES") { try run("TreeEnsembleRegressor", attributes, [x]) }
        attributes = stump()
        attributes["nodes_values"] = .floats([0.5])
        expectError("nodes_values has 1 elements, expected 3") { try run("TreeEnsembleRegressor", attributes, [x]) }
        expectError("[1, 1, 2]") { try run("TreeEnsembleRegressor", stump(), [floats([0, 1], [1, 1, 2])]) }
    }

    /// Of two classes that the leaves vote for, the one with more votes is chosen, and named by its label.
    @Test func choosesTheLabel() throws {
        var attributes = stump()
        for name in ["target_treeids", "target_nodeids", "target_ids", "target_weights", "n_targets"] { attributes[name] = nil }
        attributes["class_treeids"] = .ints([0, 0, 0, 0])
        attributes["class_nodeids"] = .ints([1, 1, 2, 2])
        attributes["class_ids"] = .ints([0, 1, 0, 1])
        attributes["class_weights"] = .floats([0.75, 0.25, 0.125, 0.875])
        attributes["classlabels_int64s"] = .ints([4, 9])
        let results = try OpsTests.run(
            "TreeEnsembleClassifier", version: 3, domain: "ai.onnx.ml", attributes: attributes,
            inputs: [floats([0, 1], [2, 1])],
            outputCount: 2)
        try expectEqual(results[0], [4, 9] as [Int64])
        try expectEqual(results[1], [0.75, 0.25, 0.125, 0.875] as [Float])
    }

    @Test func refusesWhatDoesNotFit() throws {
        let x = try floats([1, 2, 3, 4], [2, 2])
        expectError("3 coefficients don't fit 2 targets") {
            try run("LinearRegressor", ["coefficients": .floats([1, 2, 3]), "targets": .int(2)], [x])
        }
        expectError("are for 3 features, found 2") { try run("LinearRegressor", ["coefficients": .floats([1, 2, 3])], [x]) }
        expectError("post_transform should be") {
            try run("LinearRegressor", ["coefficients": .floats([1, 2]), "post_transform": .string("NOISE")], [x])
        }
        expectError("offset has 3 elements, expected 1 or 2") {
            try run("Scaler", ["offset": .floats([1, 2, 3]), "scale": .floats([1])], [x])
        }
        expectError("3 values to impute don't fit 2 features") {
            try run("Imputer", ["imputed_value_floats": .floats([1, 2, 3])], [x])
        }
        expectError("aren't of the type of the features") { try run("Imputer", ["imputed_value_int64s": .ints([1])], [x]) }
        expectError("an index is outside") { try run("ArrayFeatureExtractor", [:], [x, int64s([2])]) }
        expectError("expected keys of type string, found float32") {
            try run("LabelEncoder", version: 2, ["keys_strings": .strings(["a"]), "values_int64s": .ints([1])], [x])
        }
        expectError("2 keys and 1 values") {
            try run("LabelEncoder", version: 2, ["keys_floats": .floats([1, 2]), "values_int64s": .ints([1])], [x])
        }
        expectError("attribute zeros is 0") { try run("OneHotEncoder", ["cats_int64s": .ints([9]), "zeros": .int(0)], [x]) }
        expectError("vectors_per_class [-1]") {
            try run(
                "SVMClassifier", ["classlabels_ints": .ints([0, 1]), "vectors_per_class": .ints([-1]), "rho": .floats([0])],
                [x],
                outputs: 2)
        }
        expectError("don't fit 2 classes with 4 vectors") {
            try run(
                "SVMClassifier",
                [
                    "classlabels_ints": .ints([0, 1]), "vectors_per_class": .ints([2, 2]), "rho": .floats([0]),
                    "coefficients": .floats([1]), "support_vectors": .floats([1, 2]),
                ], [x], outputs: 2)
        }
        expectError("has the key a twice") { try run("ZipMap", ["classlabels_strings": .strings(["a", "a"])], [x]) }
        expectError("3 labels don't fit scores of shape [2, 2]") {
            try run("ZipMap", ["classlabels_int64s": .ints([1, 2, 3])], [x])
        }
        expectError("expected a map, found float32[2, 2]") {
            try run("DictVectorizer", ["string_vocabulary": .strings(["a"])], [x])
        }
    }

    @Test func decodesPicturesSafely() throws {
        func decode(_ bytes: [UInt8]) throws -> Tensor {
            try OpsTests.run("ImageDecoder", version: 20, inputs: [Tensor(bytes)])[0]
        }
        #expect(try decode([1, 2, 3]).shape.dimensions == [0, 0, 3])
        #expect(try decode(Array("P6 2 1 255\n".utf8) + [1, 2, 3, 4, 5, 6]).array(of: UInt8.self) == [1, 2, 3, 4, 5, 6])
        #expect(try decode(Array("P5 2 2 255\n".utf8) + [1, 2, 3]).shape.dimensions == [0, 0, 3])
        #expect(try decode(Array("BM".utf8) + [UInt8](repeating: 0xFF, count: 20)).shape.dimensions == [0, 0, 3])
        expectError("larger than") { _ = try decode(Array("P6 99999999 99999999 255\n".utf8)) }
        expectError("WebP aren't supported") { _ = try decode(Array("RIFF0000WEBP".utf8)) }
    }
}
