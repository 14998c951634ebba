import GraphRuntime

/// One direction of a recurrent operator, over all sequences of a batch.
struct RecurrentPass<Element: BLASElement & NumericElement>: @unchecked Sendable {
    private let geometry: RecurrentGeometry
    private let direction: Int
    private let isReverse: Bool
    private let lengths: [Int]
    private let clip: Double
    private let x: Tensor
    private let w: Tensor
    private let r: Tensor
    /// This direction's own, [2 · gates · hidden] and [3 · hidden], zeros where there are none.
    private let bias: Tensor
    private let peepholes: Tensor
    /// [batch, hidden].
    private let hidden: MutableTensor
    private let cell: MutableTensor

    /// - Parameters:
    ///   - tensors: the node's inputs, of shapes that fit `geometry`.
    ///   - lengths: of each sequence, none beyond the geometry's.
    init(
        geometry: RecurrentGeometry, direction: Int, isReverse: Bool, tensors: [Tensor?], lengths: [Int], clip: Double
    ) throws {
        guard let x = tensors[0], let w = tensors[1], let r = tensors[2] else { throw TensorError("an input is missing") }
        self.geometry = geometry
        self.direction = direction
        self.isReverse = isReverse
        self.lengths = lengths
        self.clip = clip
        (self.x, self.w, self.r) = (x, w, r)
        func part(_ tensor: Tensor?, _ count: Int) throws -> Tensor {
            let result = try MutableTensor(dtype: Element.dtype, shape: Shape([count]))
            let source = unsafe try tensor?.buffer(of: Element.self)
            let target = unsafe try result.buffer(of: Element.self)
            for index in target.indices {
                unsafe target[index] = unsafe source.map { unsafe $0[direction * count + index] } ?? 0
            }
            return result.tensor
        }
        bias = try part(tensors[3], 2 * geometry.width)
        peepholes = try part(tensors[7], 3 * geometry.hidden)
        func state(_ tensor: Tensor?) throws -> MutableTensor {
            let result = try MutableTensor(dtype: Element.dtype, shape: Shape([geometry.batch, geometry.hidden]))
            let source = unsafe try tensor?.buffer(of: Element.self)
            let target = unsafe try result.buffer(of: Element.self)
            for item in 0..<geometry.batch {
                let start = geometry.stateOffset(direction: direction, item: item)
                for j in 0..<geometry.hidden {
                    unsafe target[item * geometry.hidden + j] = unsafe source.map { unsafe $0[start + j] } ?? 0
                }
            }
            return result
        }
        hidden = try state(tensors[5])
        cell = try state(tensors[6])
    }

    /// - Parameter outputs: Y, Y_h and Y_c, nil where nobody asks for them; Y holds zeros.
    func run<Cell: RecurrentCell>(
        _ unit: Cell, _ functions: [RecurrentFunction], into outputs: [MutableTensor?], threads: ThreadPool
    ) throws {
        let (batch, size, width) = (geometry.batch, geometry.hidden, geometry.width)
        let projected = try project(threads: threads)
        let recurrent = try MutableTensor(dtype: Element.dtype, shape: Shape([batch, width]))
        let scratch = try MutableTensor(dtype: Element.dtype, shape: Shape([batch, 2 * size]))
        nonisolated(unsafe) let weights = unsafe try r.pointer(to: Element.self) + direction * width * size
        nonisolated(unsafe) let state = unsafe try hidden.pointer(to: Element.self)
        nonisolated(unsafe) let memory = unsafe try cell.pointer(to: Element.self)
        nonisolated(unsafe) let product = unsafe try recurrent.pointer(to: Element.self)
        nonisolated(unsafe) let input = unsafe try projected.pointer(to: Element.self)
        nonisolated(unsafe) let space = unsafe try scratch.pointer(to: Element.self)
        nonisolated(unsafe) let bias = unsafe try bias.pointer(to: Element.self)
        nonisolated(unsafe) let peepholes = unsafe try peepholes.pointer(to: Element.self)
        let steps = size > 0 ? lengths.max() ?? 0 : 0
        nonisolated(unsafe) let output = unsafe try outputs[0]?.pointer(to: Element.self)
        for step in 0..<steps {
            threads.forEachRange(unit.recurrentGates * size, grain: max((1 << 16) / (batch * size), 16)) { columns in
                unsafe GEMM(
                    transposeB: true, m: batch, n: columns.count, k: size, a: state, lda: size,
                    b: weights + columns.lowerBound * size, ldb: size, c: product + columns.lowerBound, ldc: width
                ).run()
            }
            threads.forEachRange(batch, grain: max(1024 / width, 1)) { items in
                for item in items where step < lengths[item] {
                    let time = isReverse ? lengths[item] - 1 - step : step
                    unsafe unit.advance(
                        RecurrentRow(
                            size: size, input: input + geometry.inputRow(time: time, item: item) * width,
                            recurrent: product + item * width, bias: bias, weights: weights, peepholes: peepholes,
                            hidden: state + item * size, cell: memory + item * size, scratch: space + item * 2 * size,
                            clip: clip),
                        functions)
                    guard let output = unsafe output else { continue }
                    let place = geometry.outputOffset(time: time, direction: direction, item: item)
                    unsafe (output + place).update(from: state + item * size, count: size)
                }
            }
        }
        for (output, state) in [(outputs[1], hidden), (outputs[2], cell)] {
            guard let output else { continue }
            let units = try ElementUnits(sources: [state.tensor], target: output)
            for item in 0..<batch {
                try units.copy(at: item * size, to: geometry.stateOffset(direction: direction, item: item), count: size)
            }
        }
    }

    /// The products of all rows of the input with W, [length · batch, gates · hidden].
    private func project(threads: ThreadPool) throws -> MutableTensor {
        let (width, depth) = (geometry.width, geometry.inputSize)
        let result = try MutableTensor(dtype: Element.dtype, shape: Shape([geometry.length, geometry.batch, width]))
        nonisolated(unsafe) let source = unsafe try x.pointer(to: Element.self)
        nonisolated(unsafe) let matrix = unsafe try w.pointer(to: Element.self) + direction * width * depth
        nonisolated(unsafe) let target = unsafe try result.pointer(to: Element.self)
        guard result.count > 0 else { return result }
        guard depth > 0 else {
            unsafe target.update(repeating: 0, count: result.count)
            return result
        }
        threads.forEachRange(geometry.length * geometry.batch, grain: 32) { range in
            unsafe GEMM(
                transposeB: true, m: range.count, n: width, k: depth, a: source + range.lowerBound * depth, lda: depth,
                b: matrix, ldb: depth, c: target + range.lowerBound * width, ldc: width
            ).run()
        }
        return result
    }
}
