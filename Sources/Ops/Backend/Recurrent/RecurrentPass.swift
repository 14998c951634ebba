import GraphRuntime

/// RNN, GRU or LSTM over all sequences of a batch, in all directions.
@safe
struct RecurrentPass<Element: RecurrentElement, Cell: RecurrentCell>: @unchecked Sendable {
    private let geometry: RecurrentGeometry
    private let cell: Cell
    /// One list for each direction.
    private let functions: [[RecurrentFunction]]
    /// Whether the first direction is the reverse one; a second one is always.
    private let isReverse: Bool
    private let lengths: [Int]
    private let clip: Double
    private let weights: RecurrentWeights
    private let r: Tensor
    /// R as ``RecurrentWeights/packed(_:constants:)`` has it.
    private let packed: Tensor?
    private let x: Tensor
    private let w: Tensor
    private let panels: PackedPanels?
    private let bias: Tensor?
    private let peepholes: Tensor?
    /// Of all directions and sequences, each `stateStep` numbers.
    private let hidden: MutableTensor
    private let memory: MutableTensor
    private let passed: MutableTensor
    private let stateStep: Int
    /// Of all directions and sequences, as ``RecurrentWeights`` has them.
    private let products: MutableTensor

    /// Weights of a step that are worth a thread.
    private static var grain: Int { 1 << 15 }

    /// - Parameters:
    ///   - tensors: the node's inputs, of shapes that fit `geometry`.
    ///   - panels: W in panels, all directions' columns beside each other; nil where it wasn't packed.
    ///   - packed: R as ``RecurrentWeights/packed(_:constants:)`` has it; nil where it wasn't packed.
    ///   - isReverse: whether the first direction is the reverse one.
    ///   - lengths: of each sequence, none beyond the geometry's.
    init(
        geometry: RecurrentGeometry, cell: Cell, functions: [[RecurrentFunction]], tensors: [Tensor?], panels: PackedPanels?,
        packed: Tensor?, isReverse: Bool, lengths: [Int], clip: Double
    ) throws {
        guard let x = tensors[0], let w = tensors[1], let r = tensors[2] else { throw TensorError("an input is missing") }
        (self.geometry, self.cell, self.functions) = (geometry, cell, functions)
        (self.isReverse, self.lengths, self.clip) = (isReverse, lengths, clip)
        (self.x, self.w, self.r, self.panels, self.packed) = (x, w, r, panels, packed)
        weights = RecurrentWeights(directions: geometry.directions, size: geometry.hidden, stages: cell.stages)
        (bias, peepholes) = (try tensors[3]?.aligned(), try tensors[7]?.aligned())
        // Rows a multiple of 4 KB apart would share few places of the first-level cache.
        let step = geometry.hidden + 16
        stateStep = step
        let rows = geometry.directions * geometry.batch
        func state(_ tensor: Tensor?) throws -> MutableTensor {
            let result = try MutableTensor(dtype: Element.dtype, shape: Shape([rows, step]))
            let target = unsafe try result.pointer(to: Element.self)
            unsafe target.update(repeating: 0, count: rows * step)
            guard let source = unsafe try tensor?.buffer(of: Element.self) else { return result }
            for row in 0..<rows {
                let start = geometry.stateOffset(direction: row / geometry.batch, item: row % geometry.batch)
                for j in 0..<geometry.hidden { unsafe target[row * step + j] = unsafe source[start + j] }
            }
            return result
        }
        hidden = try state(tensors[5])
        memory = try state(tensors[6])
        passed = try state(nil)
        products = try MutableTensor(dtype: Element.dtype, shape: Shape([rows, weights.productCount]))
    }

    /// - Parameter outputs: Y, Y_h and Y_c, nil where nobody asks for them; Y holds zeros.
    func run(into outputs: [MutableTensor?], threads: ThreadPool) throws {
        let (directions, batch, size) = (geometry.directions, geometry.batch, geometry.hidden)
        let steps = try Steps(self, input: project(threads: threads), output: outputs[0])
        let count = size > 0 ? lengths.max() ?? 0 : 0
        let work = geometry.width * size
        let stages = weights.stages.indices
        if threads.threadCount > directions * batch, work >= 2 * Self.grain, packed != nil {
            // Too few sequences for the threads: they share the products of each step.
            for step in 0..<count {
                for stage in stages {
                    let panelCount = weights.panelCount(stage: stage)
                    let grain = max(Self.grain * panelCount / work, 1)
                    threads.forEachRange(directions * panelCount, grain: grain) { range in
                        for direction in range.lowerBound / panelCount...(range.upperBound - 1) / panelCount {
                            let panels = range.clamped(to: direction * panelCount..<(direction + 1) * panelCount)
                            steps.multiply(
                                direction, stage: stage, items: 0..<batch,
                                panels: panels.lowerBound - direction * panelCount..<panels.upperBound - direction * panelCount)
                        }
                    }
                    for direction in 0..<directions { steps.advance(direction, stage: stage, items: 0..<batch, step: step) }
                }
            }
        } else {
            let parts = min(batch, (threads.threadCount + directions - 1) / directions)
            let isShared = Double(work) * Double(count) * Double(directions * batch) >= Double(2 * Self.grain)
            @Sendable func runPart(_ task: Int) {
                let (direction, part) = (task / parts, task % parts)
                let items = batch * part / parts..<batch * (part + 1) / parts
                for step in 0..<count {
                    for stage in stages {
                        steps.multiply(
                            direction, stage: stage, items: items, panels: 0..<weights.panelCount(stage: stage))
                        steps.advance(direction, stage: stage, items: items, step: step)
                    }
                }
            }
            if isShared {
                threads.forEach(directions * parts) { runPart($0) }
            } else {
                for task in 0..<directions * parts { runPart(task) }
            }
        }
        for (output, state) in [(outputs[1], hidden), (outputs[2], memory)] {
            guard let output else { continue }
            let units = try ElementUnits(sources: [state.tensor], target: output)
            for row in 0..<directions * batch {
                let place = geometry.stateOffset(direction: row / batch, item: row % batch)
                try units.copy(at: row * stateStep, to: place, count: size)
            }
        }
    }

    /// The products of all rows of the input with W of all directions, and what of the biases is added to them,
    /// [length · batch, directions · gates · hidden].
    private func project(threads: ThreadPool) throws -> MutableTensor {
        let (rows, depth) = (geometry.length * geometry.batch, geometry.inputSize)
        let columns = geometry.directions * geometry.width
        let result = try MutableTensor(dtype: Element.dtype, shape: Shape([rows, columns]))
        guard result.count > 0 else { return result }
        let offsets = try MutableTensor(dtype: Element.dtype, shape: Shape([columns]))
        let starts = unsafe try offsets.pointer(to: Element.self)
        if let biases = unsafe try bias?.pointer(to: Element.self) {
            let (size, width) = (geometry.hidden, geometry.width)
            for direction in 0..<geometry.directions {
                let (own, sums) = unsafe (biases + direction * 2 * width, starts + direction * width)
                unsafe sums.update(from: own, count: width)
                for gate in 0..<Cell.gates where cell.addsRecurrentBias(gate: gate) {
                    unsafe add(own + width + gate * size, to: sums + gate * size, count: size)
                }
            }
        } else {
            unsafe starts.update(repeating: 0, count: columns)
        }
        nonisolated(unsafe) let source = unsafe try x.pointer(to: Element.self)
        nonisolated(unsafe) let target = unsafe try result.pointer(to: Element.self)
        if depth == 0 {
            for row in 0..<rows { unsafe (target + row * columns).update(from: starts, count: columns) }
        } else if let panels, Element.self == Float.self {
            let product = unsafe PanelProduct(
                m: rows, n: columns, k: depth, start: .columns(try offsets.pointer(to: Float.self)))
            unsafe try product.run(
                x.pointer(to: Float.self), panels: panels, result.pointer(to: Float.self), threads: threads)
        } else {
            nonisolated(unsafe) let matrix = unsafe try w.pointer(to: Element.self)
            let product = unsafe MatrixProduct<Element>(
                m: rows, n: columns, k: depth, transposeB: true, start: .columns(starts))
            unsafe product.run(batch: 1, threads: threads) { _ in unsafe (source, matrix, target) }
        }
        return withExtendedLifetime(offsets) { result }
    }

    /// The parts of a step, on pointers into a pass's tensors.
    @safe
    private struct Steps: @unchecked Sendable {
        private let pass: RecurrentPass
        private let inputs: MutableTensor
        private let input: UnsafePointer<Element>
        private let output: UnsafeMutablePointer<Element>?
        /// Nil where R is packed: its own elements needn't be in memory then.
        private let r: UnsafePointer<Element>?
        private let packed: UnsafePointer<Float>?
        private let bias: UnsafePointer<Element>?
        private let peepholes: UnsafePointer<Element>?
        private let hidden: UnsafeMutablePointer<Element>
        private let memory: UnsafeMutablePointer<Element>
        private let passed: UnsafeMutablePointer<Element>
        private let products: UnsafeMutablePointer<Element>

        init(_ pass: RecurrentPass, input: MutableTensor, output: MutableTensor?) throws {
            self.pass = pass
            inputs = input
            unsafe self.input = unsafe UnsafePointer(try input.pointer(to: Element.self))
            unsafe self.output = unsafe try output?.pointer(to: Element.self)
            unsafe r = unsafe pass.packed == nil ? try pass.r.pointer(to: Element.self) : nil
            unsafe packed = unsafe try pass.packed?.pointer(to: Float.self)
            unsafe bias = unsafe try pass.bias?.pointer(to: Element.self)
            unsafe peepholes = unsafe try pass.peepholes?.pointer(to: Element.self)
            unsafe hidden = unsafe try pass.hidden.pointer(to: Element.self)
            unsafe memory = unsafe try pass.memory.pointer(to: Element.self)
            unsafe passed = unsafe try pass.passed.pointer(to: Element.self)
            unsafe products = unsafe try pass.products.pointer(to: Element.self)
        }

        /// The products of a stage, of some panels of output columns; of all of them where R isn't packed.
        func multiply(_ direction: Int, stage: Int, items: Range<Int>, panels: Range<Int>) {
            let (weights, step) = (pass.weights, pass.stateStep)
            let row = direction * pass.geometry.batch + items.lowerBound
            let states = unsafe (stage == 0 ? hidden : passed) + row * step
            let target = unsafe products + row * weights.productCount
            if let packed = unsafe packed, let states = unsafe states as? UnsafeMutablePointer<Float>,
                let target = unsafe target as? UnsafeMutablePointer<Float>
            {
                unsafe weights.multiply(
                    direction: direction, stage: stage, panels: panels, packed: packed, states: states, step: step,
                    rows: items.count, products: target)
            } else if let r = unsafe r {
                unsafe weights.multiply(
                    direction: direction, stage: stage, weights: r, states: states, step: step, rows: items.count,
                    products: target)
            }
        }

        /// What follows the products of a stage.
        func advance(_ direction: Int, stage: Int, items: Range<Int>, step: Int) {
            let (geometry, weights, lengths) = (pass.geometry, pass.weights, pass.lengths)
            let (size, width) = (geometry.hidden, geometry.width)
            let isReverse = pass.isReverse || direction == 1
            let isLast = stage + 1 == weights.stages.count
            let later = weights.columns(stage: weights.stages.count - 1).lowerBound
            for item in items where step < lengths[item] {
                let time = isReverse ? lengths[item] - 1 - step : step
                let row = direction * geometry.batch + item
                let state = unsafe hidden + row * pass.stateStep
                let inputRow = geometry.inputRow(time: time, item: item) * geometry.directions + direction
                unsafe pass.cell.advance(
                    RecurrentRow(
                        size: size, input: input + inputRow * width, products: products + row * weights.productCount,
                        laterProducts: products + row * weights.productCount + later,
                        bias: bias.map { unsafe $0 + (2 * direction + 1) * width },
                        peepholes: peepholes.map { unsafe $0 + direction * 3 * size }, hidden: state,
                        cell: memory + row * pass.stateStep, passed: passed + row * pass.stateStep, clip: pass.clip),
                    pass.functions[direction], stage: stage)
                guard isLast, let output = unsafe output else { continue }
                unsafe (output + geometry.outputOffset(time: time, direction: direction, item: item))
                    .update(from: state, count: size)
            }
        }
    }
}
