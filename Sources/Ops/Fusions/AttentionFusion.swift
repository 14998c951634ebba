import GraphRuntime

/// softmax(s·Q·Kᵀ + mask)·V (Vaswani et al. 2017, equation 1) as exporters write it: two products with a softmax between them, scalar
/// factors before or after the first, and the splitting into heads around them. The fused operator never holds more than a tile of
/// the scores, and reads and writes heads where they lie, so that the transposes go too.
struct AttentionFusion: Fusion {
    let name = "Attention"

    func match(endingAt node: Int, in editor: inout GraphEditor) throws -> FusionMatch? {
        guard let matMul = editor.operation(node, as: MatMul.self), !matMul.hasBias, let value = editor.nodes[node].inputs[1],
            let output = editor.output(node), editor.isFloat(value),
            let scores = Scores(softmaxOf: editor.nodes[node].inputs[0], editor),
            let rank = editor.shape(value)?.rank, rank == 3 || rank == 4,
            editor.shape(scores.query)?.rank == rank, editor.shape(scores.key)?.rank == rank,
            matchesHeads(scores, value, rank: rank, editor)
        else { return nil }
        var nodes = scores.nodes + [node]
        let query = HeadSplit(scores.query, editor)
        let key = scores.isKeyRowsFirst ? HeadSplit(joined: scores.key) : HeadSplit(scores.key, editor)
        let valueSplit = HeadSplit(value, editor)
        var operation = ScaledDotProductAttention(heads: 1, scale: scores.operandScale)
        operation.scoreScale = scores.scale
        operation.zeroesNaN = scores.zeroesNaN
        var inputs: [ValueID?] = [scores.query, scores.key, value]
        var fusedOutput = output
        if rank == 4 {
            operation.queryOrder = query == nil ? .headsFirst : .rowsFirst
            operation.keyOrder = key == nil ? .headsFirst : .rowsFirst
            operation.valueOrder = valueSplit == nil ? .headsFirst : .rowsFirst
            operation.outputOrder = .headsFirst
            inputs = [query?.source ?? scores.query, key?.source ?? scores.key, valueSplit?.source ?? value]
        }
        // With heads folded into the batch, the heads must come from axes that all three operands have.
        if rank == 4 || (query != nil && key != nil && valueSplit != nil && scores.mask == nil) {
            if let merge = HeadMerge(output, isFolded: rank == 3, heads: query?.heads ?? editor.shape(scores.query)?[1], editor)
            {
                operation.outputOrder = .rowsFirst
                fusedOutput = merge.output
                nodes += merge.nodes
                if rank == 3 { inputs = [query?.source, key?.source, valueSplit?.source] }
            }
        }
        if let mask = scores.mask { inputs.append(mask) }
        return FusionMatch(nodes: nodes, type: name, operation: operation, inputs: inputs, outputs: [fusedOutput])
    }

    /// Whether every operand has the same batch and heads: the fused operator doesn't broadcast them.
    private func matchesHeads(_ scores: Scores, _ value: ValueID, rank: Int, _ editor: GraphEditor) -> Bool {
        guard let q = editor.shape(scores.query), let k = editor.shape(scores.key), let v = editor.shape(value) else {
            return false
        }
        let keyHeads = rank == 3 ? [k[0]] : scores.isKeyRowsFirst ? [k[0], k[2]] : [k[0], k[1]]
        let lead = Array(q.dimensions.dropLast(2))
        return lead == keyHeads && lead == Array(v.dimensions.dropLast(2))
    }
}

/// What softmax is taken of: scale · query · keyᵀ + mask.
private struct Scores {
    var query: ValueID
    /// Keys row by row: [.., S, E], or with heads behind the rows, [B, S, H, E].
    var key: ValueID
    var isKeyRowsFirst = false
    var mask: ValueID?
    /// The factors of the product.
    var scale = 1.0
    /// Those of its operands.
    var operandScale = 1.0
    /// Whether weights that are NaN become 0.
    var zeroesNaN = false
    var nodes: [Int] = []

    init?(softmaxOf probabilities: ValueID?, _ editor: GraphEditor) {
        var factor = 1.0
        var nodes: [Int] = []
        guard var weights = Self.skipCasts(probabilities, &nodes, editor) else { return nil }
        if let guarded = Self.guardedFromNaN(weights, &nodes, editor) {
            zeroesNaN = true
            weights = guarded
        }
        guard let softmax = editor.producer(of: weights),
            let operation = editor.operation(softmax, as: Softmax.self), !operation.isLogarithm,
            let input = editor.nodes[softmax].inputs.first ?? nil, let shape = editor.shape(input),
            let (_, _, inner) = try? operation.axis.extents(shape), inner == 1,
            (try? operation.axis.extents(shape).count) == shape.dimensions.last
        else { return nil }
        nodes.append(softmax)
        guard var current = Self.skipCasts(input, &nodes, editor) else { return nil }
        var mask: ValueID?
        if let add = editor.producer(of: current), let found = Self.maskedSum(add, shape, editor) {
            nodes.append(add)
            current = found.scores
            mask = found.mask
        }
        current = Self.skipFactors(current, &factor, &nodes, editor)
        var operandFactor = 1.0
        guard let product = editor.producer(of: current), let matMul = editor.operation(product, as: MatMul.self),
            !matMul.hasBias,
            let left = editor.nodes[product].inputs[0], let right = editor.nodes[product].inputs[1]
        else { return nil }
        nodes.append(product)
        // Factors of single operands stay where they are when others read them too: they only change which value is read.
        var ignored: [Int] = []
        query = Self.skipFactors(left, &operandFactor, &ignored, editor)
        let transposed = Self.skipFactors(right, &operandFactor, &ignored, editor)
        guard let (source, isRowsFirst) = Self.rows(ofTransposed: transposed, editor) else { return nil }
        isKeyRowsFirst = isRowsFirst
        key = Self.skipFactors(source, &operandFactor, &ignored, editor)
        // A product with 0 isn't computed at all, and would lose what isn't finite.
        guard Float(factor).isNormal, Float(operandFactor).isNormal, Float(factor * operandFactor).isNormal else { return nil }
        self.mask = mask
        self.nodes = nodes
        scale = factor
        operandScale = operandFactor
    }

    /// What keys [.., E, S] are the transpose of: [.., S, E], or [B, S, H, E] with heads behind the rows.
    private static func rows(ofTransposed id: ValueID, _ editor: GraphEditor) -> (source: ValueID, isRowsFirst: Bool)? {
        guard let node = editor.producer(of: id), let input = editor.nodes[node].inputs.first ?? nil else { return nil }
        switch editor.operation(node, as: Transpose.self)?.permutation {
        case [0, 2, 1], [0, 1, 3, 2]: return (input, false)
        case [0, 2, 3, 1]: return (input, true)
        default: break
        }
        // With heads folded into the batch for the transpose alone, as torch.onnx with dynamo writes it.
        guard editor.operation(node, as: Reshape.self) != nil, let transpose = editor.producer(of: input),
            editor.operation(transpose, as: Transpose.self)?.permutation == [0, 2, 1],
            let folded = editor.nodes[transpose].inputs.first ?? nil, let fold = editor.producer(of: folded),
            let source = editor.input(fold, as: Reshape.self), let shape = editor.shape(source), shape.rank == 4,
            editor.shape(folded)?.dimensions == [shape[0] * shape[1], shape[2], shape[3]],
            editor.shape(id)?.dimensions == [shape[0], shape[1], shape[3], shape[2]]
        else { return nil }
        return (source, false)
    }

    /// What a value is where it isn't NaN, where it is 0: so PyTorch exports attention, whose masks may leave a query no key.
    private static func guardedFromNaN(_ id: ValueID, _ nodes: inout [Int], _ editor: GraphEditor) -> ValueID? {
        guard let node = editor.producer(of: id), editor.operation(node, as: Where.self) != nil,
            let condition = editor.nodes[node].inputs[0], let value = editor.nodes[node].inputs[2],
            editor.floats(editor.nodes[node].inputs[1]) == [0], let test = editor.producer(of: condition),
            let operation = editor.operation(test, as: FloatTest.self), operation.isNaN, !operation.detectsNegative,
            !operation.detectsPositive, editor.nodes[test].inputs[0] == value, editor.isSameShape(value, id)
        else { return nil }
        nodes += [test, node]
        return value
    }

    /// Steps over Casts that change no type.
    private static func skipCasts(_ id: ValueID?, _ nodes: inout [Int], _ editor: GraphEditor) -> ValueID? {
        guard var current = id else { return nil }
        while let node = editor.producer(of: current), editor.operation(node, as: Cast.self) != nil,
            let input = editor.nodes[node].inputs.first ?? nil, editor.fact(input).dtype == editor.fact(current).dtype
        {
            nodes.append(node)
            current = input
        }
        return current
    }

    /// Steps over products with, and quotients by, scalar constants.
    private static func skipFactors(_ id: ValueID, _ factor: inout Double, _ nodes: inout [Int], _ editor: GraphEditor)
        -> ValueID
    {
        var current = id
        while let node = editor.producer(of: current) {
            let shape = editor.shape(current)
            if let (value, constant) = editor.orders(node, .multiply).first(where: { editor.floats($0.1)?.count == 1 }),
                let number = editor.floats(constant)?.first, editor.shape(value) == shape
            {
                factor *= Double(number)
                current = value
            } else if let (value, constant) = editor.operands(node, .divide), let numbers = editor.floats(constant),
                numbers.count == 1,
                numbers[0] != 0, editor.shape(value) == shape
            {
                factor /= Double(numbers[0])
                current = value
            } else {
                break
            }
            nodes.append(node)
        }
        return current
    }

    /// The operands of a sum of scores and a mask that broadcasts to them.
    private static func maskedSum(_ node: Int, _ shape: Shape, _ editor: GraphEditor) -> (scores: ValueID, mask: ValueID?)? {
        for (scores, mask) in editor.orders(node, .add) {
            guard editor.shape(scores) == shape, let maskShape = editor.shape(mask),
                editor.isFloat(mask) || editor.constant(mask) != nil,
                isProduct(scores, editor)
            else { continue }
            if isZero(mask, editor) { return (scores, nil) }
            // The fused operator's mask has the axes batch, heads, queries, keys.
            guard shape.rank == 4, maskShape.rank >= 1, maskShape.rank <= 4 else { return nil }
            return (scores, mask)
        }
        return nil
    }

    /// Whether a value is a matrix product, times or by scalars.
    private static func isProduct(_ id: ValueID, _ editor: GraphEditor) -> Bool {
        var (factor, nodes) = (1.0, [Int]())
        guard let node = editor.producer(of: skipFactors(id, &factor, &nodes, editor)) else { return false }
        return editor.operation(node, as: MatMul.self) != nil
    }

    /// Whether a value is zero all over: the addend of weight 0 that baddbmm is exported with.
    private static func isZero(_ id: ValueID, _ editor: GraphEditor) -> Bool {
        if let values = editor.floats(id) { return values.allSatisfy { $0 == 0 } }
        if let node = editor.producer(of: id) {
            if let fill = editor.operation(node, as: ConstantOfShape.self) { return fill.isZero }
            // Zero times a tensor that is filled with a finite number.
            if let (_, factor) = editor.orders(node, .multiply).first(where: { editor.floats($0.1)?.count == 1 }),
                let other = editor.orders(node, .multiply).first(where: { $0.1 == factor })?.0, editor.floats(factor) == [0],
                let source = editor.producer(of: other),
                editor.operation(source, as: ConstantOfShape.self)?.isFinite == true
            {
                return true
            }
        }
        return false
    }
}

/// An operand [B, H, L, E], or [B·H, L, E], that was made by transposing [B, L, H, E].
private struct HeadSplit {
    /// [B, L, H, E]
    let source: ValueID
    var heads: Int?

    init(joined source: ValueID) { self.source = source }

    init?(_ id: ValueID, _ editor: GraphEditor) {
        var current = id
        if editor.shape(id)?.rank == 3 {
            guard let reshape = editor.producer(of: id), let input = editor.input(reshape, as: Reshape.self),
                let shape = editor.shape(input), shape.rank == 4, let folded = editor.shape(id),
                folded[0] == shape[0] * shape[1],
                folded[1] == shape[2]
            else { return nil }
            current = input
        }
        guard let transpose = editor.producer(of: current),
            editor.operation(transpose, as: Transpose.self)?.permutation == [0, 2, 1, 3],
            let input = editor.nodes[transpose].inputs.first ?? nil
        else { return nil }
        source = input
        heads = editor.shape(input)?[2]
    }
}

/// What puts the heads of an output [B, H, L, E], or [B·H, L, E], behind one another again: [B, L, H, E].
private struct HeadMerge {
    let output: ValueID
    let nodes: [Int]

    init?(_ id: ValueID, isFolded: Bool, heads: Int?, _ editor: GraphEditor) {
        var current = id
        var nodes: [Int] = []
        if isFolded {
            guard let reshape = editor.soleReader(of: id), editor.operation(reshape, as: Reshape.self) != nil,
                let unfolded = editor.output(reshape), let shape = editor.shape(unfolded), shape.rank == 4, shape[1] == heads,
                let folded = editor.shape(id), folded[0] == shape[0] * shape[1], folded[1] == shape[2]
            else { return nil }
            nodes.append(reshape)
            current = unfolded
        }
        guard let transpose = editor.soleReader(of: current),
            editor.operation(transpose, as: Transpose.self)?.permutation == [0, 2, 1, 3], let merged = editor.output(transpose)
        else { return nil }
        output = merged
        self.nodes = nodes + [transpose]
    }
}
