import GraphRuntime
import TestSupport
import Testing

@Suite struct MutableTensorTests {
    private func make(_ dimensions: [Int]) throws -> MutableTensor {
        try MutableTensor(dtype: .float32, shape: Shape(dimensions))
    }

    /// Slices cover every element once, and each knows its units.
    @Test(arguments: [1, 2, 3], [(1, 1), (3, 1), (3, 4), (1, 1000)])
    func slicesCoverEverything(threads: Int, sizes: (unit: Int, grain: Int)) throws {
        let pool = ThreadPool(threadCount: threads)
        for units in [0, 1, 2, 7, 500] {
            let tensor = try make([units * sizes.unit])
            try tensor.forEachSlice(of: Float.self, unit: sizes.unit, grain: sizes.grain, threads: pool) { range, slice in
                for index in 0..<slice.count { slice[index] = Float(range.lowerBound * sizes.unit + index) }
            }
            let expected = (0..<units * sizes.unit).map { Float($0) }
            #expect(try tensor.finish().array(of: Float.self) == expected)
        }
    }

    @Test func slicesOfTwoTensors() throws {
        let (pairs, sums) = (try make([100, 2]), try MutableTensor(dtype: .int64, shape: Shape([100])))
        try pairs.forEachSlice(
            of: Float.self, unit: 2, and: sums, of: Int64.self, grain: 3, threads: ThreadPool(threadCount: 2)
        ) { range, pairs, sums in
            for (place, index) in range.enumerated() {
                (pairs[2 * place], pairs[2 * place + 1]) = (Float(index), Float(-index))
                sums[place] = Int64(2 * index)
            }
        }
        #expect(try pairs.finish().array(of: Float.self) == (0..<100).flatMap { [Float($0), Float(-$0)] })
        #expect(try sums.finish().array(of: Int64.self) == (0..<100).map { Int64(2 * $0) })
        let error = #expect(throws: TensorError.self) {
            try make([4]).forEachSlice(
                of: Float.self, and: make([5]), of: Float.self, grain: 1, threads: ThreadPool(threadCount: 1)
            ) { _, _, _ in }
        }
        #expect(error?.message == "shapes [4] and [5] don't have as many slices")
    }

    /// Lines along the middle axis of [2, 3, 4], and of pairs.
    @Test func linesCoverEverything() throws {
        let pool = ThreadPool(threadCount: 2)
        let tensor = try make([2, 3, 4])
        try tensor.forEachLine(of: Float.self, count: 3, inner: 4, grain: 1, threads: pool) { line, elements in
            for index in 0..<elements.count { elements[index] = Float(10 * line + index) }
        }
        let expected = (0..<24).map { place -> Float in
            let line = place / 12 * 4 + place % 4
            return Float(10 * line + place / 4 % 3)
        }
        #expect(try tensor.finish().array(of: Float.self) == expected)
        let pairs = try make([3, 2, 2])
        try pairs.forEachLine(of: Float.self, count: 3, inner: 2, parts: 2, grain: 1, threads: pool) { line, elements in
            for index in 0..<elements.count {
                elements[index] = Float(line)
                elements[index, part: 1] = Float(-index)
            }
        }
        #expect(try pairs.finish().array(of: Float.self) == [0, 0, 1, 0, 0, -1, 1, -1, 0, -2, 1, -2])
    }

    @Test func refusesParts() throws {
        let pool = ThreadPool(threadCount: 1)
        for unit in [0, 4, 100] {
            let error = #expect(throws: TensorError.self) {
                try make([10]).forEachSlice(of: Float.self, unit: unit, grain: 1, threads: pool) { _, _ in }
            }
            #expect(error?.message == "shape [10] doesn't divide into parts of \(unit) elements")
        }
        let error = #expect(throws: TensorError.self) {
            try make([10]).forEachSlice(of: Double.self, grain: 1, threads: pool) { _, _ in }
        }
        #expect(error?.message == "expected a tensor of float64, found float32")
    }

    /// A tensor that others read can't be written, nor one be read, or written elsewhere, that is being written.
    @Test func writersComeInTurns() throws {
        let pool = ThreadPool(threadCount: 2)
        let tensor = try make([8])
        try tensor.withMutableSpan(of: Float.self) { span in
            for index in 0..<span.count { span[index] = 1 }
            for write in [
                { try tensor.withMutableSpan(of: Float.self) { $0[0] = 2 } },
                { try tensor.fill(with: Float(2)) },
                { try tensor.forEachSlice(of: Float.self, grain: 1, threads: pool) { _, slice in slice[0] = 2 } },
            ] {
                let error = #expect(throws: TensorError.self) { try write() }
                #expect(error?.message == "a tensor can't be written in two places at once")
            }
            let error = #expect(throws: TensorError.self) { try tensor.finish() }
            #expect(error?.message == "a tensor can't be read while it is being written")
        }
        let finished = try tensor.finish()
        for write in [
            { try tensor.withMutableSpan(of: Float.self) { $0[0] = 2 } },
            { try tensor.withMutableBytes { $0[0] = 2 } },
            { try tensor.fill(with: Float(2)) },
            { try tensor.copy(from: finished) },
            { try tensor.copyBits(from: finished) },
            { try tensor.forEachSlice(of: Float.self, grain: 1, threads: pool) { _, slice in slice[0] = 2 } },
            { try tensor.forEachLine(of: Float.self, count: 8, inner: 1, grain: 1, threads: pool) { _, line in line[0] = 2 } },
        ] {
            let error = #expect(throws: TensorError.self) { try write() }
            #expect(error?.message == "a tensor that is read can't be written")
        }
        #expect(try finished.array(of: Float.self) == [Float](repeating: 1, count: 8))
    }

    /// An operator that keeps its output can't change it after the run.
    @Test(arguments: [true, false]) func outputsOfARunAreFinished(optimize: Bool) throws {
        let keeper = Keeper()
        let library = OperatorLibrary(
            registry: OperatorRegistry(
                [OperatorDefinition("Keep", since: 1) { _ in KeepingOperator(keeper: keeper) }], newestOpset: ["": 9]))
        var toy = ToyGraph()
        toy.input("x", [.fixed(2)])
        toy.node("Keep", ["x"], ["y"])
        toy.output("y")
        let session = try Session(
            graph: toy.graph, library: library,
            options: SessionOptions(optimize: optimize, threads: ThreadPool(threadCount: 1)))
        let result = try #require(try session.run(["x": Tensor([1, 2] as [Float])])["y"])
        let kept = try #require(keeper.tensor)
        let error = #expect(throws: TensorError.self) { try kept.fill(with: Float(3)) }
        #expect(error?.message == "a tensor that is read can't be written")
        #expect(try result.array(of: Float.self) == [1, 2])
    }

    @Test func viewsReadWhatIsThere() throws {
        let view = try Tensor([1, 2, 3, 4] as [Float]).view(of: Float.self)
        #expect(Array(view) == [1, 2, 3, 4])
        #expect(Array(view.extracting(1..<3)) == [2, 3])
        #expect(view.reduce(0, +) == 10)
        #expect(Array(try Tensor([1] as [UInt16]).bytes) == [1, 0])
        let error = #expect(throws: TensorError.self) { try Tensor([1] as [Float]).view(of: Int32.self) }
        #expect(error?.message == "expected a tensor of int32, found float32")
    }

    @Test func bytesMakeTensors() throws {
        let tensor = try Tensor(dtype: .int16, shape: Shape([2]), bytes: [1, 0, 255, 255])
        #expect(try tensor.array(of: Int16.self) == [1, -1])
        let error = #expect(throws: TensorError.self) { try Tensor(dtype: .int16, shape: Shape([2]), bytes: [1]) }
        #expect(error?.message == "1 bytes don't fill a int16 tensor of shape [2]")
    }

    @Test func poolsMapInOrder() {
        for threads in [1, 3] {
            #expect(ThreadPool(threadCount: threads).map(1000) { $0 * $0 } == (0..<1000).map { $0 * $0 })
            #expect(ThreadPool(threadCount: threads).map(0) { "\($0)" }.isEmpty)
        }
    }
}

/// Tensors don't leave their thread; a test may carry one out.
private final class Keeper: @unchecked Sendable {
    var tensor: MutableTensor?
}

private struct KeepingOperator: Operator {
    let keeper: Keeper

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [Fact(dtype: .float32, shape: try inputs[0].shape)] }

    func run(_ context: inout RunContext) throws {
        let output = try context.output(0)
        try output.copy(from: context.input(0))
        keeper.tensor = output
    }
}
