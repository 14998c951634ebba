import GraphRuntime

/// The shape of a query, key or value, taken apart.
struct AttentionOperandShape {
    let batch: Int
    let heads: Int
    let rows: Int
    let width: Int
    let isHeadsFirst: Bool

    /// - Parameters:
    ///   - shape: [B, L, heads·E], or of four axes with the heads where `isHeadsFirst` says.
    ///   - heads: how many heads three axes hold; not asked for with four.
    /// - Throws: ``TensorError`` where the axes are others, or don't divide into heads.
    init(_ shape: Shape, heads: Int?, isHeadsFirst: Bool, _ name: String) throws(TensorError) {
        switch shape.rank {
        case 3:
            guard let heads, heads > 0, shape[2] % heads == 0 else {
                throw TensorError(
                    "\(name) of shape \(shape) doesn't divide into \(heads.map { "\($0)" } ?? "an unstated number of") heads")
            }
            batch = shape[0]
            rows = shape[1]
            self.heads = heads
            width = shape[2] / heads
            self.isHeadsFirst = false
        case 4:
            batch = shape[0]
            self.heads = shape[isHeadsFirst ? 1 : 2]
            rows = shape[isHeadsFirst ? 2 : 1]
            width = shape[3]
            self.isHeadsFirst = isHeadsFirst
        default: throw TensorError("\(name) should have 3 or 4 axes, found shape \(shape)")
        }
    }

    var layout: AttentionLayout {
        isHeadsFirst
            ? .headsFirst(heads: heads, rows: rows, width: width) : .rowsFirst(heads: heads, rows: rows, width: width)
    }

    /// - Throws: ``TensorError`` where the three don't fit together.
    static func extents(
        _ query: AttentionOperandShape, _ key: AttentionOperandShape, _ value: AttentionOperandShape
    ) throws(TensorError) -> AttentionExtents {
        guard key.batch == query.batch, value.batch == query.batch, key.heads == value.heads, key.rows == value.rows,
            key.width == query.width, key.heads > 0 || query.heads == 0, query.heads % max(key.heads, 1) == 0
        else {
            throw TensorError("query \(query), key \(key) and value \(value) don't fit together")
        }
        return AttentionExtents(
            batch: query.batch, heads: query.heads, keyHeads: key.heads, queries: query.rows, keys: key.rows,
            width: query.width,
            valueWidth: value.width)
    }
}

extension AttentionOperandShape: CustomStringConvertible {
    var description: String { "(batch \(batch), heads \(heads), rows \(rows), width \(width))" }
}
