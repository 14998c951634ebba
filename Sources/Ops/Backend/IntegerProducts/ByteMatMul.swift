import CKernels
import GraphRuntime

/// numpy.matmul of int8 or uint8 without their zero points, by ``ByteProduct``.
struct ByteMatMul {
    /// What becomes of the sums.
    enum Form {
        case int32
        /// sum · scale (one for all, or one for each column) + bias + residual, each operation rounded to float32.
        case float32(scale: Tensor, bias: Tensor?, residual: Tensor?)
        /// sum · scales rounded to integers + zero.
        case bytes(rowScales: [Float], scales: [Float], zero: Int32)
    }

    /// One for all rows, for each, or for each of all matrices; nil for 0.
    var leftZero: Tensor?
    /// One for all columns, for each, or for each of all matrices; nil for 0.
    var rightZero: Tensor?
    /// B as ``BytePanels`` has it; nil where it isn't packed yet.
    var panels: Tensor?
    var form = Form.int32

    /// How B is packed.
    static func layout(_ extents: MatMulExtents, _ b: Shape, isTransposed: Bool = false) -> BytePanels {
        let count = b.dimensions.dropLast(2).reduce(1, *)
        return BytePanels(depth: extents.k, columns: extents.n, isTransposed: isTransposed, count: count)
    }

    /// - Throws: ``TensorError`` where types or shapes don't fit, or there is no memory.
    func run(_ a: Tensor, _ b: Tensor, into output: MutableTensor, threads: ThreadPool) throws {
        guard a.dtype == .int8 || a.dtype == .uint8 else { throw TensorError("expected int8 or uint8, found \(a.dtype)") }
        let extents = try MatMulExtents(a.shape, b.shape)
        guard output.count == extents.output.count else { throw TensorError("the product doesn't have shape \(output.shape)") }
        guard output.count > 0 else { return }
        let layout = Self.layout(extents, b.shape)
        let packed = try panels ?? layout.pack(b, threads: threads)
        let (count, rows) = extents.products
        let (n, k) = (extents.n, extents.k)
        let leftZeros = try Self.integers(leftZero)
        let shift = BytePanels.shift(b.dtype)
        let rightZeros = try Self.integers(rightZero).map { $0 &+ shift }
        let first = unsafe a.start.assumingMemoryBound(to: UInt8.self)
        let scales = try scales(columns: n)
        let products = try (0..<count).map { index in
            let matrices = extents.sharesB ? (a: 0, b: 0) : extents.matrices(index)
            let right = unsafe try layout.matrix(matrices.b, of: packed)
            var product = unsafe ByteProduct(
                m: rows, n: n, k: k, leftIsSigned: a.dtype == .int8,
                left: .matrix(first + matrices.a * extents.m * k, step: k), panels: right.panels, columnSums: right.sums,
                leftZeros: try Self.part(leftZeros, of: matrices.a, size: rows, cycle: extents.m),
                rightZeros: try Self.part(rightZeros, of: matrices.b, size: n, cycle: n),
                scales: scales, result: try result(output, from: index * rows * n, columns: n))
            if case .bytes(let rowScales, _, _) = form, rowScales.count > 1 {
                product.rowScales = try Self.part(rowScales, of: matrices.a, size: rows, cycle: extents.m)
            }
            return product
        }
        try ByteProduct.run(products, threads: threads)
    }

    private func scales(columns: Int) throws -> [Float] {
        let scales: [Float]
        switch form {
        case .int32: return []
        case .float32(let scale, _, _): scales = try scale.array(of: Float.self)
        case .bytes(let rows, let columns, _): scales = rows.count == 1 ? columns.map { rows[0] * $0 } : columns
        }
        guard scales.count == 1 || scales.count == columns else {
            throw TensorError("expected a scale for each of \(columns) columns, found \(scales.count)")
        }
        return scales.count == columns ? scales : [Float](repeating: scales[0], count: columns)
    }

    private func result(_ output: MutableTensor, from start: Int, columns: Int) throws -> ByteProduct.Result {
        switch form {
        case .int32: return unsafe .integers(try output.pointer(to: Int32.self) + start, step: columns)
        case .float32(_, let bias, let residual):
            if let bias, bias.count != columns { throw TensorError("the bias doesn't have \(columns) elements") }
            if let residual, residual.count != output.count {
                throw TensorError("what is added to the product doesn't have its \(output.count) elements")
            }
            return unsafe .floats(
                try output.pointer(to: Float.self) + start, step: columns, bias: try bias?.pointer(to: Float.self),
                addend: try residual.map { unsafe try $0.pointer(to: Float.self) + start })
        case .bytes(_, _, let zero):
            let range = try ByteRange(output.dtype, zero: zero)
            return unsafe .bytes(output.start.assumingMemoryBound(to: UInt8.self) + start, step: columns, range)
        }
    }

    /// The numbers of int8 or uint8; 0 of nil.
    static func integers(_ tensor: Tensor?) throws(TensorError) -> [Int32] {
        switch tensor?.dtype {
        case nil: return [0]
        case .int8?: return try tensor?.array(of: Int8.self).map { Int32($0) } ?? []
        case .uint8?: return try tensor?.array(of: UInt8.self).map { Int32($0) } ?? []
        case let dtype?: throw TensorError("expected a zero point of int8 or uint8, found \(dtype)")
        }
    }

    /// Those of `values` that belong to a matrix: one for all, `cycle` for all matrices, or as many for each.
    private static func part<Number>(_ values: [Number], of index: Int, size: Int, cycle: Int) throws(TensorError) -> [Number] {
        if values.count == 1 || values.count == size { return values }
        if values.count == cycle, cycle > 0 { return (0..<size).map { values[$0 % cycle] } }
        guard values.count >= (index + 1) * size, values.count % max(size, 1) == 0 else {
            throw TensorError("\(values.count) scales or zero points don't fit \(cycle) rows or columns")
        }
        return Array(values[index * size..<(index + 1) * size])
    }
}
