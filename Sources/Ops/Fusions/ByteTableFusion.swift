import GraphRuntime

/// DequantizeLinear → operators that take one element to one, rounded to bytes between them or not → QuantizeLinear: 256 bytes are all
/// that there is to compute, and are computed once (an activation that a quantiser takes apart, SiLU or GELU with each of its steps).
struct ByteTableFusion: Fusion {
    let name = "table of bytes"
    var comesBeforeFolding: Bool { true }

    /// Nodes beyond which nothing is looked for.
    private static let mostNodes = 64

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard editor.operation(node, as: QuantizeLinear.self) != nil, let output = editor.output(node),
            Self.isBytes(output, editor),
            let found = Self.chain(endingAt: node, output, editor), let dtype = editor.fact(output).dtype,
            let table = try Self.table(of: found, output, editor), table.dtype == dtype, table.count == 256
        else { return nil }
        let operation = ByteTable(table: try Self.bits(table), dtype: dtype)
        return FusionMatch(
            nodes: found.nodes, type: "ByteTable", operation: operation, inputs: [found.source], outputs: [output])
    }

    private struct Chain {
        /// In the order of the graph.
        var nodes: [Int]
        /// Of bytes.
        let source: ValueID
    }

    /// The longest chain of nodes from one value of bytes to `node`, none of whose values is read elsewhere.
    private static func chain(endingAt node: Int, _ output: ValueID, _ editor: GraphEditor) -> Chain? {
        guard let inputs = elementwiseInputs(of: node, editor) else { return nil }
        var (inside, frontier) = (Set([node]), Set(inputs))
        var result: Chain?
        while inside.count < mostNodes {
            if frontier.count == 1, let source = frontier.first, isBytes(source, editor), editor.isSameShape(source, output),
                editor.shape(source)?.rank != 0, let nodes = enclosed(inside, output, editor)
            {
                result = Chain(nodes: nodes, source: source)
            }
            // The last one to be computed, so that all of its readers are inside by then.
            guard let last = frontier.max(by: { editor.producer(of: $0) ?? -1 < editor.producer(of: $1) ?? -1 }),
                let producer = editor.producer(of: last), let inputs = elementwiseInputs(of: producer, editor)
            else { break }
            frontier.remove(last)
            inside.insert(producer)
            frontier.formUnion(inputs)
        }
        return result
    }

    /// The nodes without those DequantizeLinear of the source that others read as well; nil where anything else that they compute is read
    /// elsewhere.
    private static func enclosed(_ nodes: Set<Int>, _ output: ValueID, _ editor: GraphEditor) -> [Int]? {
        var result: [Int] = []
        for node in nodes.sorted() {
            guard let value = editor.output(node) else { return nil }
            let isRead = editor.graph.outputs.contains(value) || editor.readers(of: value).contains { !nodes.contains($0) }
            if value != output, isRead {
                guard editor.operation(node, as: DequantizeLinear.self) != nil, let source = editor.nodes[node].inputs[0],
                    !nodes.contains(editor.producer(of: source) ?? -1)
                else { return nil }
            } else {
                result.append(node)
            }
        }
        return result
    }

    /// What a node reads beside constants of one number; nil where it isn't an operator that takes one element to one.
    private static func elementwiseInputs(of node: Int, _ editor: GraphEditor) -> [ValueID]? {
        guard editor.nodes[node].outputs.count == 1, editor.isElementwise(node) else { return nil }
        var result: [ValueID] = []
        for case let id? in editor.nodes[node].inputs {
            if let constant = editor.constant(id) {
                guard constant.count == 1 else { return nil }
            } else if dequantizedConstant(id, editor) == nil {
                guard isBytes(id, editor) || editor.isFloat(id) else { return nil }
                result.append(id)
            }
        }
        return result.isEmpty ? nil : result
    }

    /// The DequantizeLinear of a constant of one number, as quantisers leave operands that are constants.
    private static func dequantizedConstant(_ id: ValueID, _ editor: GraphEditor) -> Int? {
        guard let node = editor.producer(of: id), editor.operation(node, as: DequantizeLinear.self) != nil,
            editor.nodes[node].inputs.allSatisfy({ $0 == nil || editor.constant($0)?.count == 1 })
        else { return nil }
        return node
    }

    private static func isBytes(_ id: ValueID, _ editor: GraphEditor) -> Bool {
        editor.fact(id).dtype == .int8 || editor.fact(id).dtype == .uint8
    }

    /// What the chain makes of all bytes.
    private static func table(of chain: Chain, _ output: ValueID, _ editor: GraphEditor) throws -> Tensor? {
        guard let dtype = editor.fact(chain.source).dtype, let rank = editor.shape(chain.source)?.rank else { return nil }
        // Of the source's rank: a scale of one number is no scale of the only index along an axis.
        let shape = try Shape(rank == 1 ? [256] : [1, 256] + Array(repeating: 1, count: rank - 2))
        let threads = ThreadPool(threadCount: 1)
        var values = [chain.source: try Tensor(dtype: dtype, shape: shape, bytes: (0...255).map { UInt8($0) })]
        var pending = needed(chain, editor)
        while let node = pending.popLast() {
            guard let operation = editor.nodes[node].operation, let result = editor.output(node) else { return nil }
            let inputs = editor.nodes[node].inputs.map { id in id.flatMap { values[$0] ?? editor.constant($0) } }
            let facts = inputs.map { tensor in tensor.map { Fact(.tensor($0)) } }
            guard let fact = try operation.inferOutputs(InferenceInputs(facts)).first, let dtype = fact.dtype,
                let shape = fact.shape, shape.count == 256 || shape.count == 1
            else { return nil }
            let storage = try MutableTensor(dtype: dtype, shape: shape)
            var context = RunContext(
                inputs: inputs.map { tensor in tensor.map { .tensor($0) } }, outputs: [storage], threads: threads)
            try operation.run(&context)
            values[result] = try storage.finish()
        }
        return values[output]
    }

    /// The chain's nodes, the first one last, with those DequantizeLinear of the source that others read as well, and of constants.
    private static func needed(_ chain: Chain, _ editor: GraphEditor) -> [Int] {
        let around = chain.nodes.flatMap { editor.nodes[$0].inputs }.compactMap { id -> Int? in
            guard let id, let node = editor.producer(of: id) else { return nil }
            let isShared =
                editor.operation(node, as: DequantizeLinear.self) != nil && editor.nodes[node].inputs[0] == chain.source
            return isShared ? node : dequantizedConstant(id, editor)
        }
        return Set(chain.nodes + around).sorted(by: >)
    }

    private static func bits(_ table: Tensor) throws -> [UInt8] {
        table.dtype == .uint8
            ? try table.array(of: UInt8.self) : try table.array(of: Int8.self).map { UInt8(bitPattern: $0) }
    }
}
