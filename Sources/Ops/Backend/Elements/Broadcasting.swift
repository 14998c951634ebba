import GraphRuntime

/// How up to three operands are read under ONNX's multidirectional broadcasting: the output as rows of contiguous elements, along
/// which every operand either moves on by one element a step or stays on one.
struct BroadcastPlan {
    /// One row, or the part of one that fell to a thread: where it starts in the output and in each operand.
    struct Row {
        var output: Int
        var offsets: (Int, Int, Int)
        var count: Int
    }

    /// Elements of the output.
    let count: Int
    let rowLength: Int
    /// 1 or 0 for each operand: how far it moves along a row.
    let steps: (Int, Int, Int)
    /// The extents outside of a row, and for each the steps of the three operands.
    private let extents: [Int]
    private let strides: [(Int, Int, Int)]

    /// Elements below which a second thread costs more than it brings.
    static let grain = 32 << 10

    /// - Parameters:
    ///   - output: the shape that the operands broadcast to.
    ///   - a: the first operand's shape; those of operands that aren't there may be left out.
    init(output: Shape, _ a: Shape, _ b: Shape = .scalar, _ c: Shape = .scalar) {
        typealias Axis = (extent: Int, steps: (Int, Int, Int))
        var row: Axis?
        var extents: [Int] = []
        var strides: [(Int, Int, Int)] = []
        func add(_ axis: Axis?) {
            guard let axis else { return }
            guard row != nil else { return row = axis }
            extents.append(axis.extent)
            strides.append(axis.steps)
        }
        // Axes that every operand walks as if they were one become one.
        var walked: Axis?
        // How far each operand moves along an axis, if it does.
        var (stepA, stepB, stepC) = (1, 1, 1)
        for back in stride(from: 1, through: output.rank, by: 1) {
            let extent = output[output.rank - back]
            let (extentA, extentB, extentC) = (a.extent(back), b.extent(back), c.extent(back))
            if extent != 1 {
                let own = (extentA == 1 ? 0 : stepA, extentB == 1 ? 0 : stepB, extentC == 1 ? 0 : stepC)
                if let (length, steps) = walked, own == (steps.0 * length, steps.1 * length, steps.2 * length) {
                    walked = (length * extent, steps)
                } else {
                    add(walked)
                    walked = (extent, own)
                }
            }
            (stepA, stepB, stepC) = (stepA * max(extentA, 1), stepB * max(extentB, 1), stepC * max(extentC, 1))
        }
        add(walked)
        count = output.count
        (rowLength, steps) = row ?? (1, (0, 0, 0))
        self.extents = extents
        self.strides = strides
    }

    /// Whether the output is one row for one thread.
    var isOneRow: Bool { extents.isEmpty && count < 2 * Self.grain }

    /// Calls `body` for the rows that make up elements `range` of the output.
    func forEachRow(in range: Range<Int>, _ body: (Row) -> Void) {
        guard !range.isEmpty else { return }
        // Empty where there is one row alone, and then it takes no memory.
        var position = [Int](repeating: 0, count: extents.count)
        var rest = range.lowerBound / rowLength
        var base = (0, 0, 0)
        for axis in extents.indices {
            position[axis] = rest % extents[axis]
            rest /= extents[axis]
            base.0 += position[axis] * strides[axis].0
            base.1 += position[axis] * strides[axis].1
            base.2 += position[axis] * strides[axis].2
        }
        var output = range.lowerBound
        var skip = range.lowerBound % rowLength
        while output < range.upperBound {
            let length = min(rowLength - skip, range.upperBound - output)
            body(
                Row(
                    output: output, offsets: (base.0 + skip * steps.0, base.1 + skip * steps.1, base.2 + skip * steps.2),
                    count: length))
            output += length
            skip = 0
            for axis in extents.indices {
                position[axis] += 1
                base.0 += strides[axis].0
                base.1 += strides[axis].1
                base.2 += strides[axis].2
                if position[axis] < extents[axis] { break }
                base.0 -= extents[axis] * strides[axis].0
                base.1 -= extents[axis] * strides[axis].1
                base.2 -= extents[axis] * strides[axis].2
                position[axis] = 0
            }
        }
    }

    /// Calls `body` for all rows, split among the threads.
    func forEachRow(_ threads: ThreadPool, _ body: @Sendable (Row) -> Void) {
        threads.forEachRange(count, grain: Self.grain) { range in forEachRow(in: range, body) }
    }
}

extension Shape {
    /// The extent of an axis counted from the innermost, which is 1; 1 beyond the outermost.
    fileprivate func extent(_ back: Int) -> Int { back <= rank ? self[rank - back] : 1 }
}

/// A function of one element, as a type so that the loops over it are compiled for it alone.
protocol UnaryKernel: SendableMetatype {
    associatedtype Input: TensorElement
    associatedtype Output: TensorElement
    static func apply(_ x: Input) -> Output
}

/// A function of two elements, as a type so that the loops over it are compiled for it alone.
protocol BinaryKernel: SendableMetatype {
    associatedtype Left: TensorElement
    associatedtype Right: TensorElement
    associatedtype Output: TensorElement
    static func apply(_ a: Left, _ b: Right) -> Output
    /// A row; a step is 1 for an operand that moves and 0 for one that stays.
    static func row(
        _ a: UnsafePointer<Left>, _ aStep: Int, _ b: UnsafePointer<Right>, _ bStep: Int, _ y: UnsafeMutablePointer<Output>,
        _ count: Int)
}

extension BinaryKernel {
    @inline(__always)
    static func row(
        _ a: UnsafePointer<Left>, _ aStep: Int, _ b: UnsafePointer<Right>, _ bStep: Int, _ y: UnsafeMutablePointer<Output>,
        _ count: Int
    ) {
        if aStep == 1 && bStep == 1 {
            for index in 0..<count { unsafe y[index] = unsafe apply(a[index], b[index]) }
        } else if aStep == 1 {
            let right = unsafe b[0]
            for index in 0..<count { unsafe y[index] = unsafe apply(a[index], right) }
        } else if bStep == 1 {
            let left = unsafe a[0]
            for index in 0..<count { unsafe y[index] = unsafe apply(left, b[index]) }
        } else {
            unsafe y.update(repeating: apply(a[0], b[0]), count: count)
        }
    }
}

/// y = kernel(a, b) with both broadcast to y's shape.
///
/// - Throws: ``TensorError`` where a tensor has other elements than the kernel.
func broadcast<Kernel: BinaryKernel>(
    _ kernel: Kernel.Type, _ a: Tensor, _ b: Tensor, into y: MutableTensor, threads: ThreadPool
) throws {
    try preparedBroadcast(kernel, a, b, into: y)(threads)
}

/// As ``broadcast(_:_:_:into:threads:)``, of tensors that outlive what is returned.
func preparedBroadcast<Kernel: BinaryKernel>(
    _: Kernel.Type, _ a: Tensor, _ b: Tensor, into y: MutableTensor
) throws -> PreparedRun {
    unsafe try preparedRows((a, Kernel.Left.dtype), (b, Kernel.Right.dtype), into: (y, Kernel.Output.dtype)) {
        unsafe Kernel.row(
            $0.assumingMemoryBound(to: Kernel.Left.self), $1, $2.assumingMemoryBound(to: Kernel.Right.self), $3,
            $4.assumingMemoryBound(to: Kernel.Output.self), $5)
    }
}

/// ``BinaryKernel/row(_:_:_:_:_:_:)`` of a kernel, whose elements its caller has checked.
private typealias BinaryRow =
    @Sendable (
        _ a: UnsafeRawPointer, _ aStep: Int, _ b: UnsafeRawPointer, _ bStep: Int, _ y: UnsafeMutableRawPointer, _ count: Int
    ) -> Void

/// What of a broadcast is the same for all kernels: compiled for each of some five hundred, it would be a seventh of this module.
@inline(never)
private func preparedRows(
    _ a: (tensor: Tensor, dtype: DType), _ b: (tensor: Tensor, dtype: DType), into y: (tensor: MutableTensor, dtype: DType),
    _ row: @escaping BinaryRow
) throws -> PreparedRun {
    for (found, expected) in [(a.tensor.dtype, a.dtype), (b.tensor.dtype, b.dtype), (y.tensor.dtype, y.dtype)]
    where found != expected {
        throw TensorError("expected a tensor of \(expected), found \(found)")
    }
    guard y.tensor.count > 0 else { return { _ in } }
    nonisolated(unsafe) let left = unsafe a.tensor.start
    nonisolated(unsafe) let right = unsafe b.tensor.start
    nonisolated(unsafe) let output = unsafe y.tensor.start
    let plan = BroadcastPlan(output: y.tensor.shape, a.tensor.shape, b.tensor.shape)
    if plan.isOneRow {
        let (count, steps) = (plan.count, plan.steps)
        return { _ in unsafe row(left, steps.0, right, steps.1, output, count) }
    }
    let sizes = (a.dtype.bitWidth / 8, b.dtype.bitWidth / 8, y.dtype.bitWidth / 8)
    return { threads in
        plan.forEachRow(threads) { part in
            unsafe row(
                left + part.offsets.0 * sizes.0, plan.steps.0, right + part.offsets.1 * sizes.1, plan.steps.1,
                output + part.output * sizes.2, part.count)
        }
    }
}

/// y = kernel(x), element by element.
///
/// - Throws: ``TensorError`` where a tensor has other elements than the kernel.
func map<Kernel: UnaryKernel>(_ kernel: Kernel.Type, _ x: Tensor, into y: MutableTensor, threads: ThreadPool) throws {
    try preparedMap(kernel, x, into: y)(threads)
}

/// As ``map(_:_:into:threads:)``, of tensors that outlive what is returned.
func preparedMap<Kernel: UnaryKernel>(_: Kernel.Type, _ x: Tensor, into y: MutableTensor) throws -> PreparedRun {
    nonisolated(unsafe) let input = unsafe try x.buffer(of: Kernel.Input.self)
    nonisolated(unsafe) let output = unsafe try y.buffer(of: Kernel.Output.self)
    guard unsafe input.count == output.count else { throw TensorError("shapes \(x.shape) and \(y.shape) differ") }
    return { threads in
        unsafe threads.forEachRange(input.count, grain: BroadcastPlan.grain) { range in
            for index in range { unsafe output[index] = unsafe Kernel.apply(input[index]) }
        }
    }
}

/// As ``map(_:_:into:threads:)``, for a function that is only known at run time.
func map<Input: TensorElement, Output: TensorElement>(
    _ x: Tensor, into y: MutableTensor, threads: ThreadPool, _ function: @escaping @Sendable (Input) -> Output
) throws {
    try preparedMap(x, into: y, function)(threads)
}

/// As ``preparedMap(_:_:into:)``, for a function that is only known at run time.
func preparedMap<Input: TensorElement, Output: TensorElement>(
    _ x: Tensor, into y: MutableTensor, _ function: @escaping @Sendable (Input) -> Output
) throws -> PreparedRun {
    nonisolated(unsafe) let input = unsafe try x.buffer(of: Input.self)
    nonisolated(unsafe) let output = unsafe try y.buffer(of: Output.self)
    guard unsafe input.count == output.count else { throw TensorError("shapes \(x.shape) and \(y.shape) differ") }
    return { threads in
        unsafe threads.forEachRange(input.count, grain: BroadcastPlan.grain / 8) { range in
            for index in range { unsafe output[index] = unsafe function(input[index]) }
        }
    }
}
