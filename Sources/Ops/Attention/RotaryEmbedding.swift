import GraphRuntime

/// Rotates pairs of elements of each head by its row's angles (Su et al., "RoFormer: Enhanced Transformer with Rotary Position
/// Embedding", 2021, equation 34): (a, b) → (a·cos - b·sin, a·sin + b·cos).
///
/// - Parameters:
///   - shape: how `x` (and `y`) divide into batch, heads, rows and width.
///   - cosines: angles' cosines, `half` for each of the rows that `angleRow` names; likewise `sines`.
///   - half: how many pairs are rotated; elements from 2·half on are copied.
///   - isInterleaved: whether a pair is two neighbours, or an element and the one `half` further on.
private func rotate<Element: TensorElement & BinaryFloatingPoint>(
    _ x: Tensor, _ shape: AttentionOperandShape, cosines: Tensor, sines: Tensor, half: Int, isInterleaved: Bool,
    into y: MutableTensor, threads: ThreadPool, angleRow: @Sendable (_ batch: Int, _ row: Int) -> Int, _ type: Element.Type
) throws {
    let width = shape.width
    guard width > 0 else { return }
    // A unit is one head of one row, in the order in which they lie in memory.
    @Sendable func angles(_ unit: Int) -> Int {
        let (outer, inner) = unit.quotientAndRemainder(dividingBy: shape.isHeadsFirst ? shape.rows : shape.heads)
        let row = shape.isHeadsFirst ? inner : outer % shape.rows
        return angleRow(outer / (shape.isHeadsFirst ? shape.heads : shape.rows), row)
    }
    if type == Float.self, half > 0 {
        return try rotateRows(
            x, width: width, cosines: cosines, sines: sines, half: half, isInterleaved: isInterleaved, into: y,
            threads: threads, angleRow: angles)
    }
    let source = try x.view(of: type)
    let (cosines, sines) = (try cosines.view(of: type), try sines.view(of: type))
    try y.forEachSlice(of: type, unit: width, grain: max(4096 / width, 1), threads: threads) { units, target in
        for (index, unit) in units.enumerated() {
            let angles = angles(unit) * half
            let (from, to) = (unit * width, index * width)
            for pair in 0..<half {
                let first = isInterleaved ? 2 * pair : pair
                let second = first + (isInterleaved ? 1 : half)
                let (a, b) = (source[from + first], source[from + second])
                let (cosine, sine) = (cosines[angles + pair], sines[angles + pair])
                target[to + first] = cosine * a - sine * b
                target[to + second] = sine * a + cosine * b
            }
            for place in 2 * half..<width { target[to + place] = source[from + place] }
        }
    }
}

/// RotaryEmbedding (23). Inputs: X [B, heads, L, E] or [B, L, heads·E]; cos_cache and sin_cache, [positions, D / 2] with
/// position_ids [B, L], else [B, L, D / 2].
struct RotaryEmbedding: Operator {
    /// Needed for inputs of three axes.
    let heads: Int?
    /// D, how many elements of each head are rotated; 0 for all.
    let width: Int
    let isInterleaved: Bool

    var outputStorage: OutputStorage { .mayReplace(inputs: [0]) }
    var floatingPointTypes: Set<DType>? { [.float32, .float64] }
    /// Caches have many more positions than there are rows: the rows' own are widened.
    func takesHalves(input index: Int) -> Bool { index == 1 || index == 2 }

    private func operand(_ shape: Shape) throws(TensorError) -> (AttentionOperandShape, half: Int) {
        let operand = try AttentionOperandShape(shape, heads: heads, isHeadsFirst: true, "X")
        let rotated = width == 0 ? operand.width : width
        guard rotated <= operand.width, rotated % 2 == 0 else {
            throw TensorError("\(rotated) elements of heads of \(operand.width) can't be rotated in pairs")
        }
        return (operand, rotated / 2)
    }

    private func check(
        _ name: String, _ cache: Shape, isIndexed: Bool, _ x: Shape, _ operand: AttentionOperandShape, _ half: Int
    ) throws(TensorError) {
        let fits =
            isIndexed
            ? cache.rank == 2 && cache.dimensions.last == half : cache.dimensions == [operand.batch, operand.rows, half]
        guard fits else { throw TensorError("\(name) of shape \(cache) doesn't fit X \(x) and \(half) pairs") }
    }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let x = try inputs[0]
        try NormalizationArguments.requireFloatingPoint(x, "X")
        if let shape = x.shape {
            let (operand, half) = try operand(shape)
            for (name, index) in [("cos_cache", 1), ("sin_cache", 2)] {
                guard let cache = try inputs[index].shape else { continue }
                try check(name, cache, isIndexed: inputs.optional(3) != nil, shape, operand, half)
            }
            if let ids = inputs.optional(3)?.shape, ids.dimensions != [operand.batch, operand.rows] {
                throw TensorError("position_ids should have the shape [\(operand.batch), \(operand.rows)], found \(ids)")
            }
        }
        return [Fact(dtype: x.dtype, shape: x.shape)]
    }

    private static func rows(_ positions: [Int], of cache: Tensor, threads: ThreadPool) throws -> Tensor {
        let width = cache.shape[1]
        return try RunContext.newTensor(of: [cache], shape: Shape([positions.count, width])) { units in
            try units.gather(outer: 1, extent: cache.shape[0], inner: width, indices: positions, threads: threads)
        }
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        let (operand, half) = try operand(x.shape)
        var (cosines, sines) = (try context.input(1), try context.input(2))
        var ids = try context.optionalInput(3)?.integers()
        for (name, cache) in [("cos_cache", cosines), ("sin_cache", sines)] {
            try check(name, cache.shape, isIndexed: ids != nil, x.shape, operand, half)
        }
        if let positions = ids {
            guard positions.count == operand.batch * operand.rows else {
                throw TensorError(
                    "position_ids should have the shape [\(operand.batch), \(operand.rows)], found \(positions.count) elements")
            }
            let count = min(cosines.shape[0], sines.shape[0])
            guard positions.allSatisfy({ $0 >= 0 && $0 < count }) else {
                throw TensorError(
                    "position_ids should be in 0..<\(count), found \(positions.min() ?? 0) to \(positions.max() ?? 0)")
            }
            if cosines.dtype != x.dtype || sines.dtype != x.dtype {
                cosines = try Self.rows(positions, of: cosines, threads: context.threads)
                sines = try Self.rows(positions, of: sines, threads: context.threads)
                ids = nil
            }
        }
        (cosines, sines) = (try cosines.widened(threads: context.threads), try sines.widened(threads: context.threads))
        let angleRow = { @Sendable [ids] (batch: Int, row: Int) -> Int in
            let place = batch * operand.rows + row
            return ids?[place] ?? place
        }
        let output = try context.output(0)
        switch x.dtype {
        case .float64:
            try rotate(
                x, operand, cosines: cosines, sines: sines, half: half, isInterleaved: isInterleaved, into: output,
                threads: context.threads, angleRow: angleRow, Double.self)
        default:
            try rotate(
                x, operand, cosines: cosines, sines: sines, half: half, isInterleaved: isInterleaved, into: output,
                threads: context.threads, angleRow: angleRow, Float.self)
        }
    }
}

extension RotaryEmbedding {
    static let definitions = [
        OperatorDefinition("RotaryEmbedding", since: 23) { decoder in
            try decoder.requireInputs(3...4)
            let width = try decoder.int("rotary_embedding_dim", default: 0)
            guard width >= 0 else { throw TensorError("attribute rotary_embedding_dim should be 0 or more, found \(width)") }
            let heads = try decoder.optionalInt("num_heads")
            guard heads ?? 1 >= 0 else { throw TensorError("attribute num_heads should be 1 or more, found \(heads ?? 0)") }
            return RotaryEmbedding(
                heads: heads, width: width, isInterleaved: try decoder.bool("interleaved", default: false))
        }
    ]
}
