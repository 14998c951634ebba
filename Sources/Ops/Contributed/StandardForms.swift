import GraphRuntime

/// Operators that came into ONNX's own domain later, with their form there.
enum StandardForms {
    static let expansions = [
        // Range-1: the step may be left out
        OperatorExpansion(microsoft: "Range") { node in
            try node.decoder.requireInputs(2...3)
            let start = try node.required(0)
            let step = try node.input(2) ?? node.number(1, like: start)
            node.setOutput(0, node.add("Range", [start, node.input(1), step]))
        },
        // Pad-1: of all axes
        OperatorExpansion(microsoft: "Pad") { node in
            try node.decoder.requireInputs(2...3)
            let attributes = node.attributes(["mode"])
            let pads = node.add("Reshape", [node.input(1), try node.integers([-1])])
            node.setOutput(0, node.add("Pad", [node.input(0), pads, node.input(2)], attributes))
        },
        // ExpandDims-1: the axis as a number
        OperatorExpansion(microsoft: "ExpandDims") { node in
            try node.decoder.requireInputs(2...2)
            let axis = node.add("Cast", [node.input(1)], ["to": .int(Int64(DType.int64.rawValue))])
            node.setOutput(
                0, node.add("Unsqueeze", [node.input(0), node.add("Reshape", [axis, try node.integers([1])])]))
        },
        // GatherND-1: indices of int32 too
        OperatorExpansion(microsoft: "GatherND") { node in
            try node.decoder.requireInputs(2...2)
            let indices = node.add("Cast", [node.input(1)], ["to": .int(Int64(DType.int64.rawValue))])
            node.setOutput(0, node.add("GatherND", [node.input(0), indices]))
        },
        OperatorExpansion(microsoft: "Trilu") { node in
            try node.decoder.requireInputs(1...2)
            let attributes = node.attributes(["upper"])
            node.setOutput(0, node.add("Trilu", [node.input(0), node.input(1)], attributes))
        },
        // Unique-1: the elements in the order in which they come, for each element its place among them, and their counts
        OperatorExpansion(microsoft: "Unique") { node in
            try node.decoder.requireInputs(1...1)
            let results = node.add("Unique", [node.input(0)], ["sorted": .int(0)], outputs: 4)
            node.setOutput(0, results[0])
            node.setOutput(1, results[2])
            node.setOutput(2, results[3])
        },
    ]
}
