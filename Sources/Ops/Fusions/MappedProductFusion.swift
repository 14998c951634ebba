import GraphRuntime

/// QLinearConv or QGemm → table of bytes: numbers are mapped where they are rounded.
struct MappedProductFusion: Fusion {
    let name = "QLinearConv+table"
    var comesBeforeFolding: Bool { true }

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard let table = editor.operation(node, as: ByteTable.self), let output = editor.output(node),
            let producer = editor.producer(of: editor.nodes[node].inputs[0]),
            let operation = mapped(producer, by: table, editor)
        else { return nil }
        return FusionMatch(
            nodes: [producer, node], type: editor.nodes[producer].identity.type, operation: operation,
            inputs: editor.nodes[producer].inputs, outputs: [output])
    }

    private func mapped(_ node: Int, by table: ByteTable, _ editor: GraphEditor) -> (any Operator)? {
        guard let result = editor.output(node), editor.fact(result).dtype == table.dtype, editor.soleReader(of: result) != nil
        else { return nil }
        if var conv = editor.operation(node, as: QLinearConv.self), conv.table.isEmpty {
            conv.table = table.table
            return conv
        }
        // Without a scale of the result that is float32.
        if var gemm = editor.operation(node, as: QuantizedGemm.self), gemm.table.isEmpty {
            gemm.table = table.table
            return gemm
        }
        return nil
    }
}
