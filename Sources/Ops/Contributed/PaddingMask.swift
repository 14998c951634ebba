import GraphRuntime

/// The forms in which com.microsoft's attentions state which keys are padding, as numbers to add to the scores.
struct PaddingMask {
    /// What is added for a key that is masked out.
    let filter: Float
    let batch: Int
    let queries: Int
    /// Keys of the past included.
    let keys: Int
    let past: Int

    /// - Parameter mask: of int32 (or int64, or bool):
    ///   [batch] the number of keys at the start that are valid;
    ///   [3 · batch + 2] behind those numbers where the items' queries and keys begin among those of all, which adds nothing;
    ///   [2 · batch] behind those ends where the valid keys begin;
    ///   [batch, keys] and [batch, queries, keys] 1 for a valid key;
    ///   [batch, 1, most keys, most keys] likewise, of which the queries' rows and the first keys count.
    /// - Returns: [batch, 1, 1 or queries, keys] of float32.
    /// - Throws: ``TensorError`` for other shapes.
    func tensor(_ mask: Tensor) throws -> Tensor {
        let values = mask.dtype == .bool ? try mask.array(of: Bool.self).map { $0 ? 1 : 0 } : try mask.integers()
        let shape = mask.shape.dimensions
        switch shape {
        case [batch], [3 * batch + 2]: return try numbers(rows: 1) { item, _, key in key < values[item] }
        case [2 * batch]:
            return try numbers(rows: 1) { item, _, key in key < values[item] && key >= values[batch + item] }
        case [batch, keys]: return try numbers(rows: 1) { item, _, key in values[item * keys + key] > 0 }
        case [batch, queries, keys]:
            return try numbers(rows: queries) { item, row, key in values[(item * queries + row) * keys + key] > 0 }
        default: break
        }
        guard shape.count == 4, shape[0] == batch, shape[1] == 1, shape[2] == shape[3],
            shape[2] >= max(keys, past + queries)
        else {
            throw TensorError(
                "a mask of shape \(mask.shape) doesn't fit \(batch) batch items, \(queries) queries and \(keys) keys")
        }
        let most = shape[2]
        return try numbers(rows: queries) { item, row, key in values[(item * most + past + row) * most + key] > 0 }
    }

    private func numbers(rows: Int, isValid: (_ item: Int, _ row: Int, _ key: Int) -> Bool) throws -> Tensor {
        var result: [Float] = []
        let shape = try Shape([batch, 1, rows, keys])
        result.reserveCapacity(shape.count)
        for item in 0..<batch {
            for row in 0..<rows {
                for key in 0..<keys { result.append(isValid(item, row, key) ? 0 : filter) }
            }
        }
        return try Tensor(result, shape: shape)
    }
}
