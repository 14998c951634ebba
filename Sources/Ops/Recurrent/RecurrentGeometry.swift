import GraphRuntime

/// The extents of an RNN, GRU or LSTM node, and where the elements of its tensors lie.
struct RecurrentGeometry {
    let length: Int
    let batch: Int
    let inputSize: Int
    let hidden: Int
    let directions: Int
    let gates: Int
    let isBatchFirst: Bool

    /// - Parameters:
    ///   - x: [length, batch, input size], or [batch, length, input size] where `isBatchFirst`.
    ///   - w: [directions, gates · hidden, input size].
    ///   - r: [directions, gates · hidden, hidden].
    /// - Throws: ``TensorError`` where the shapes don't fit each other.
    init(x: Shape, w: Shape, r: Shape, directions: Int, gates: Int, isBatchFirst: Bool) throws(TensorError) {
        guard x.rank == 3, w.rank == 3, r.rank == 3 else {
            throw TensorError("input and weights should have rank 3, found \(x), \(w) and \(r)")
        }
        length = x[isBatchFirst ? 1 : 0]
        batch = x[isBatchFirst ? 0 : 1]
        inputSize = x[2]
        hidden = r[2]
        self.directions = directions
        self.gates = gates
        self.isBatchFirst = isBatchFirst
        let rows = try checkedProduct(gates, hidden)
        guard w.dimensions == [directions, rows, inputSize], r.dimensions == [directions, rows, hidden] else {
            throw TensorError(
                "for \(inputSize) inputs, a hidden size of \(hidden) and \(directions) directions the weights should have shapes "
                    + "[\(directions), \(rows), \(inputSize)] and [\(directions), \(rows), \(hidden)], found \(w) and \(r)")
        }
        try BLASLimits.check(inputSize, hidden, rows, checkedProduct(length, batch), batch)
    }

    /// All rows of the weights of one direction.
    var width: Int { gates * hidden }

    var outputShape: Shape {
        get throws(TensorError) {
            try Shape(isBatchFirst ? [batch, length, directions, hidden] : [length, directions, batch, hidden])
        }
    }

    var stateShape: Shape {
        get throws(TensorError) { try Shape(isBatchFirst ? [batch, directions, hidden] : [directions, batch, hidden]) }
    }

    /// The row of the input that holds step `time` of sequence `item`.
    func inputRow(time: Int, item: Int) -> Int { isBatchFirst ? item * length + time : time * batch + item }

    func outputOffset(time: Int, direction: Int, item: Int) -> Int {
        let row =
            isBatchFirst ? (item * length + time) * directions + direction : (time * directions + direction) * batch + item
        return row * hidden
    }

    func stateOffset(direction: Int, item: Int) -> Int {
        (isBatchFirst ? item * directions + direction : direction * batch + item) * hidden
    }
}
