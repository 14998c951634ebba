import GraphRuntime

// Operators that move elements and compute nothing, between DequantizeLinear and QuantizeLinear: they move bytes instead.

/// DequantizeLinear → Transpose, Slice, Reshape… → QuantizeLinear by the same scale and zero point.
struct QuantizedMovementFusion: Fusion {
    let name = "movement of bytes"
    var comesBeforeFolding: Bool { true }

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard let result = editor.quantized(node), !result.isRectified, let operation = editor.nodes[result.producer].operation,
            Self.isMovement(operation, result.producer, editor), editor.nodes[result.producer].outputs.count == 1,
            let x = editor.dequantized(editor.nodes[result.producer].inputs[0]),
            editor.table(from: x, to: result) == .identity
        else { return nil }
        var inputs = editor.nodes[result.producer].inputs
        inputs[0] = x.source
        if operation is Pad {
            while inputs.count < 3 { inputs.append(nil) }
            inputs[2] = result.zero
        }
        return FusionMatch(
            nodes: result.nodes, type: editor.nodes[result.producer].identity.type, operation: operation, inputs: inputs,
            outputs: [result.output])
    }

    fileprivate static func isMovement(_ operation: any Operator, _ node: Int, _ editor: GraphEditor) -> Bool {
        switch operation {
        case is any ViewOperator, is Transpose, is Slice, is Gather, is Expand, is Tile, is DepthToSpace, is SpaceToDepth: true
        // What is added is what stands for 0.
        case let pad as Pad:
            pad.pads == nil
                && (editor.nodes[node].inputs.count < 3 || editor.nodes[node].inputs[2] == nil
                    || editor.floats(editor.nodes[node].inputs[2]) == [0])
        default: false
        }
    }
}

/// DequantizeLinear → Transpose, Slice, MaxPool, Concat…, whose result isn't quantized as it is: what is dequantized is the result, so that
/// operators behind find bytes.
struct LateDequantizationFusion: Fusion {
    let name = "DequantizeLinear behind movement"
    var comesBeforeFolding: Bool { true }

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard var operation = editor.nodes[node].operation, editor.nodes[node].outputs.count == 1,
            let output = editor.output(node), let shape = editor.shape(output),
            editor.soleReader(of: output).flatMap({ editor.operation($0, as: QuantizeLinear.self) }) == nil,
            let x = editor.dequantized(editor.nodes[node].inputs.first ?? nil), let source = editor.shape(x.source),
            source.count >= shape.count || operation is Concat, let dtype = editor.fact(x.source).dtype
        else { return nil }
        var (inputs, axis) = (editor.nodes[node].inputs, x.axis)
        inputs[0] = x.source
        if let transpose = operation as? Transpose, x.scales.count > 1 {
            guard let place = try transpose.axes(rank: source.rank).firstIndex(of: x.axis) else { return nil }
            axis = place
        } else {
            guard x.scales.count == 1 else { return nil }
            switch operation {
            case let pool as MaxPool:
                // The largest byte is the largest number, but where a window sees none.
                guard x.scales[0] > 0, x.scales[0].isFinite, shape.rank <= 5,
                    try pool.attributes.geometry(source).axes.allSatisfy(\.alwaysSeesElements)
                else { return nil }
                operation = QuantizedMaxPool(attributes: pool.attributes)
            case let concat as Concat:
                operation = QuantizedConcat(
                    axis: concat.axis < 0 ? concat.axis + shape.rank : concat.axis,
                    tables: Array(repeating: nil, count: inputs.count), dtype: dtype)
                for (index, input) in inputs.enumerated().dropFirst() {
                    guard let other = editor.dequantized(input), other.scales == x.scales,
                        editor.fact(other.source).dtype == dtype, editor.isSameByte(other.zero, x.zero)
                    else { return nil }
                    inputs[index] = other.source
                }
            default:
                guard !(operation is Pad), QuantizedMovementFusion.isMovement(operation, node, editor) else { return nil }
            }
        }
        let moved = editor.addValue(
            name: editor.graph.values[output].name + "/quantized", fact: Fact(dtype: dtype, shape: shape))
        return FusionMatch(
            nodes: [node], type: editor.nodes[node].identity.type, operation: operation, inputs: inputs, outputs: [moved],
            follower: FusionMatch.Follower(
                type: "DequantizeLinear", operation: DequantizeLinear(axis: axis, blockSize: 0, outputType: nil),
                inputs: [moved, x.scale, x.zero], output: output))
    }
}

/// DequantizeLinear of each input → Concat → QuantizeLinear.
struct QuantizedConcatFusion: Fusion {
    let name = "QLinearConcat"
    var comesBeforeFolding: Bool { true }

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard let result = editor.quantized(node), !result.isRectified,
            let concat = editor.operation(result.producer, as: Concat.self), let rank = editor.shape(result.output)?.rank
        else { return nil }
        var (sources, tables): ([ValueID], [[UInt8]?]) = ([], [])
        for input in editor.nodes[result.producer].inputs {
            guard let x = editor.dequantized(input) else { return nil }
            switch editor.table(from: x, to: result) {
            case .none: return nil
            case .identity: tables.append(nil)
            case .table(let table): tables.append(table)
            }
            sources.append(x.source)
        }
        guard let dtype = editor.fact(result.output).dtype else { return nil }
        return FusionMatch(
            nodes: result.nodes, type: name,
            operation: QuantizedConcat(
                axis: concat.axis < 0 ? concat.axis + rank : concat.axis, tables: tables, dtype: dtype),
            inputs: sources, outputs: [result.output])
    }
}

extension GraphEditor {
    /// What bytes become that are dequantized and quantized again.
    fileprivate enum Requantization: Equatable {
        /// Not only one scale.
        case none
        case identity
        case table([UInt8])
    }

    fileprivate func table(from x: DequantizedValue, to result: QuantizedResult) -> Requantization {
        guard x.scales.count == 1, let dtype = fact(x.source).dtype, let target = fact(result.output).dtype,
            let scale = floats(result.scale), scale.count == 1, let zero = try? ByteMatMul.integers(constant(x.zero)),
            let newZero = try? ByteMatMul.integers(constant(result.zero)), zero.count == 1, newZero.count == 1
        else { return .none }
        if dtype == target, scale == x.scales, zero == newZero { return .identity }
        guard let table = try? ByteQuantization.table(from: (dtype, x.scales[0], zero[0]), to: (target, scale[0], newZero[0]))
        else { return .none }
        return .table(table)
    }
}
