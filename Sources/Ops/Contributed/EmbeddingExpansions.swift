import GraphRuntime

/// The first layer of BERT and its relatives.
enum EmbeddingExpansions {
    static let expansions = [
        // EmbedLayerNormalization-1: LayerNormalization of the sum of the words', positions' and segments' rows
        OperatorExpansion(microsoft: "EmbedLayerNormalization") { node in
            try node.decoder.requireInputs(7...9)
            let ids = try node.required(0)
            // A hint for the inference of shapes.
            node.decoder.ignore("mask_index_type")
            let words = node.add("Gather", [try node.required(2), ids])
            let positions: ValueID
            if let stated = node.input(8) {
                positions = node.add("Gather", [try node.required(3), stated])
            } else {
                let length = node.add("Shape", [ids], ["start": .int(1), "end": .int(2)])
                positions = node.add("Slice", [try node.required(3), try node.integers([0]), length, try node.integers([0])])
            }
            var segments: ValueID?
            if let stated = node.input(1), let table = node.input(4) { segments = node.add("Gather", [table, stated]) }
            // The order in which ONNX Runtime adds them.
            let sum = node.sum(words, positions, segments)
            let epsilon = try node.decoder.float("epsilon", default: 1e-12)
            node.setOutput(
                0,
                node.add(
                    "LayerNormalization", [sum, node.input(5), node.input(6)], ["axis": .int(-1), "epsilon": .float(epsilon)]))
            // How many words of each row the mask leaves; 0 without one.
            if node.hasOutput(1) {
                let counted: ValueID
                if let mask = node.input(7) {
                    counted = node.add("ReduceSum", [mask, try node.integers([1])], ["keepdims": .int(0)])
                } else {
                    let rows = node.add("Shape", [ids], ["start": .int(0), "end": .int(1)])
                    counted = node.add("ConstantOfShape", [rows])
                }
                node.setOutput(1, node.add("Cast", [counted], ["to": .int(Int64(DType.int32.rawValue))]))
            }
            node.setOutput(2, sum)
        }
    ]
}
