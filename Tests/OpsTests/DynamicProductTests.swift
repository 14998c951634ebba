import Foundation
import GraphRuntime
import Ops
import TestSupport
import Testing

/// Products whose factors are rounded to bytes, rows of the left one and columns of the right one, against what is documented of them: the
/// same bytes, exact sums, and scaled in double precision.
@Suite struct DynamicProductTests {
    /// Whether bytes are multiplied however little work it is, as the environment asks for.
    private static let usesBytes =
        InstructionSet.multipliesBytes
        && ["+amx", "+vnni"].contains { ProcessInfo.processInfo.environment["SD_ONNX_CPU"]?.hasSuffix($0) == true }
    /// Whether they are of a product.
    private static func usesBytes(_ m: Int, _ n: Int, _ k: Int) -> Bool {
        usesBytes || InstructionSet.multipliesBytes && m * n * k >= 32_000_000
    }
    /// Of the scaled sums, which are rounded a few times.
    private static let tolerance = Tolerance(ofLargest: 1e-6)

    /// A matrix, row by row.
    private struct Matrix {
        var values: [Float]
        let rows: Int
        let columns: Int

        init(_ tensor: Tensor, rows: Int, columns: Int) throws {
            values = try tensor.array(of: Float.self)
            (self.rows, self.columns) = (rows, columns)
        }

        private init(_ values: [Float], rows: Int, columns: Int) {
            (self.values, self.rows, self.columns) = (values, rows, columns)
        }

        var transpose: Matrix {
            let numbers = (0..<columns).flatMap { column in (0..<rows).map { values[$0 * columns + column] } }
            return Matrix(numbers, rows: columns, columns: rows)
        }

        func row(_ index: Int) -> ArraySlice<Float> { values[index * columns..<(index + 1) * columns] }
    }

    /// Whole numbers of a row, and what they are multiples of.
    private struct Row {
        var scale: Double = 0
        var numbers: [Int]

        /// Bytes without their zero point.
        init(left row: ArraySlice<Float>) {
            numbers = row.map { _ in 0 }
            guard row.allSatisfy(\.isFinite) else {
                scale = .nan
                return
            }
            let (least, largest) = row.reduce((Float(0), Float(0))) { (min($0.0, $1), max($0.1, $1)) }
            let scale = largest / 255 - least / 255
            guard scale >= 0x1p-100 else { return }
            let inverse = 1 / scale
            let zero = (-least * inverse).rounded(.toNearestOrEven)
            numbers = row.map { Int(min(max(($0 * inverse).rounded(.toNearestOrEven), -zero), 255 - zero)) }
            self.scale = Double(scale)
        }

        init(weights row: [Float]) {
            numbers = row.map { _ in 0 }
            guard row.allSatisfy(\.isFinite) else {
                scale = .nan
                return
            }
            let scale = (row.map(abs).max() ?? 0) / 127
            guard scale >= 0x1p-100 else { return }
            let inverse = 1 / scale
            numbers = row.map { Int(min(max(($0 * inverse).rounded(.toNearestOrEven), -127), 127)) }
            self.scale = Double(scale)
        }
    }

    /// left [m, k] times the transpose of right [n, k].
    private static func product(_ left: Matrix, _ right: Matrix) -> [Double] {
        let columns = (0..<right.rows).map { Row(weights: Array(right.row($0))) }
        return (0..<left.rows).flatMap { index -> [Double] in
            let row = Row(left: left.row(index))
            return columns.map { column in
                let sum = zip(row.numbers, column.numbers).reduce(0) { $0 + $1.0 * $1.1 }
                return Double(sum) * row.scale * column.scale
            }
        }
    }

    private func check(_ found: Tensor, _ expected: [Double], _ profile: Profile, _ title: String) throws {
        let kernel = try #require(profile.nodes.last?.kernel)
        #expect(kernel.contains("int8 GEMM"), "\(title): \(kernel)")
        try expectClose(found, expected.map { Float($0) }, within: Self.tolerance, title)
    }

    /// Rows of the left factor, its columns, columns of the right one: odd ones, parts of tiles and panels, more columns than rows and the
    /// other way round, several blocks of rows.
    private static let extents = [
        [4, 32, 32], [5, 33, 35], [14, 64, 32], [15, 65, 33], [31, 130, 64], [65, 641, 70], [130, 64, 2000], [16, 320, 64],
        [47, 4096, 40], [601, 1283, 100], [1030, 65, 1040],
    ]

    @Test(arguments: extents) func products(extents: [Int]) throws {
        let (m, k, n) = (extents[0], extents[1], extents[2])
        guard Self.usesBytes(m, n, k) else { return }
        // Rows of any sign, and such as activations leave.
        let numbers = try pseudoRandom([m, k], seed: 1).array(of: Float.self).enumerated().map { index, number in
            index / k % 3 == 0 ? number : index / k % 3 == 1 ? max(number, -0.2) * 30 : abs(number) * 1e-3
        }
        let (x, w) = (try floats(numbers, [m, k]), try pseudoRandom([k, n], seed: 2))
        let (left, right) = (try Matrix(x, rows: m, columns: k), try Matrix(w, rows: k, columns: n).transpose)
        let expected = Self.product(left, right)
        for weights in [WeightFormat.stored, .int8] {
            for threads in [1, 2] {
                let profile = Profile()
                let found = try runOnWeights(
                    "MatMul", version: 13, inputs: [x, w], threads: threads, precision: .int8, weights: weights,
                    observer: profile)
                try check(found, expected, profile, "MatMul \(extents), \(weights), \(threads) threads")
            }
        }
        let addend = try pseudoRandom([n], seed: 3)
        let added = try addend.array(of: Float.self)
        let sums = expected.enumerated().map { 0.5 * $1 + Double(added[$0 % n]) }
        for (transposesA, transposesB) in [(false, true), (true, false), (true, true)] {
            let attributes = NodeAttributes([
                "transA": .int(transposesA ? 1 : 0), "transB": .int(transposesB ? 1 : 0), "alpha": .float(0.5),
            ])
            let profile = Profile()
            let found = try runOnWeights(
                "Gemm", version: 13, attributes: attributes,
                inputs: [
                    transposesA ? floats(left.transpose.values, [k, m]) : x, transposesB ? floats(right.values, [n, k]) : w,
                    addend,
                ], precision: .int8, observer: profile)
            try check(found, sums, profile, "Gemm \(extents) \(transposesA) \(transposesB)")
        }
    }

    /// Weights of 16 bits are widened and then rounded.
    @Test func halfWeights() throws {
        guard Self.usesBytes else { return }
        let (x, wide) = (try pseudoRandom([20, 77], seed: 1), try pseudoRandom([77, 45], seed: 2))
        let w = try MutableTensor(dtype: .float16, shape: wide.shape)
        try HalfPrecision.narrow(wide, into: w)
        let half = try w.finish()
        let narrow = try MutableTensor(dtype: .float16, shape: x.shape)
        try HalfPrecision.narrow(x, into: narrow)
        let halfX = try narrow.finish()
        let profile = Profile()
        let found = try runOnWeights("MatMul", version: 13, inputs: [halfX, half], precision: .int8, observer: profile)
        let expected = Self.product(
            try Matrix(HalfPrecision.widen(halfX), rows: 20, columns: 77),
            try Matrix(HalfPrecision.widen(half), rows: 77, columns: 45).transpose)
        #expect(profile.nodes.contains { $0.kernel?.contains("int8 GEMM") == true })
        try expectClose(
            HalfPrecision.widen(found), expected.map { Float($0) }, within: Tolerance(relative: 0x1p-10, ofLargest: 1e-6))
    }

    /// A residual, and a bias beside it.
    @Test(arguments: [[6, 40, 50], [100, 96, 33]]) func residuals(extents: [Int]) throws {
        guard Self.usesBytes else { return }
        let (m, k, n) = (extents[0], extents[1], extents[2])
        var graph = FusionGraph()
        let x = try graph.input([m, k])
        let residual = try graph.input([m, n])
        let w = try graph.weights([k, n], isInFile: true)
        let bias = try graph.weights([n])
        let y = graph.node("Add", residual, graph.node("Add", graph.node("MatMul", x, w), bias))
        let profile = Profile()
        let found = try graph.result(y, options: Self.options, observer: profile)
        let offsets = try #require(graph.graph.initializers[bias]).array(of: Float.self)
        let added = try pseudoRandom([m, n], seed: UInt64(residual + 1)).array(of: Float.self)
        let expected = Self.product(
            try Matrix(pseudoRandom([m, k], seed: UInt64(x + 1)), rows: m, columns: k),
            try Matrix(#require(graph.graph.initializers[w]), rows: k, columns: n).transpose
        ).enumerated().map { $1 + Double(offsets[$0 % n]) + Double(added[$0]) }
        #expect(profile.nodes.count == 1)
        try check(found, expected, profile, "\(extents)")
    }

    private static let options = SessionOptions(threads: ThreadPool(threadCount: 2), precision: .int8)

    /// The gated product of feed-forward blocks.
    @Test(arguments: [[4, 36, 64], [30, 900, 1344], [700, 33, 128]]) func gatedProducts(extents: [Int]) throws {
        let (m, k, n) = (extents[0], extents[1], extents[2])
        guard Self.usesBytes(m, n, k) else { return }
        var graph = FusionGraph()
        let x = try graph.input([m, k])
        let w = try graph.weights([k, n], isInFile: true)
        let bias = try graph.weights([n])
        let (values, gate) = graph.nodes(
            "Split", graph.node("Add", graph.node("MatMul", x, w), bias), attributes: NodeAttributes(["axis": .int(-1)]))
        let errors = graph.node("Erf", graph.node("Div", gate, try graph.scalar(Float(2).squareRoot())))
        let gelu = graph.node(
            "Mul", graph.node("Mul", gate, graph.node("Add", errors, try graph.scalar(1))), try graph.scalar(0.5))
        let y = graph.node("Mul", values, gelu)
        let profile = Profile()
        let found = try graph.result(y, options: Self.options, observer: profile)
        let offsets = try #require(graph.graph.initializers[bias]).array(of: Float.self)
        let sums = Self.product(
            try Matrix(pseudoRandom([m, k], seed: UInt64(x + 1)), rows: m, columns: k),
            try Matrix(#require(graph.graph.initializers[w]), rows: k, columns: n).transpose
        ).enumerated().map { $1 + Double(offsets[$0 % n]) }
        let expected = (0..<m).flatMap { row in
            (0..<n / 2).map { column -> Double in
                let (a, b) = (sums[row * n + column], sums[row * n + n / 2 + column])
                return a * b * 0.5 * (1 + erf(b / 2.0.squareRoot()))
            }
        }
        #expect(profile.nodes.count == 1)
        try check(found, expected, profile, "\(extents)")
    }

    /// Convolutions of one pixel whose input, or output, has its channels last.
    @Test(arguments: [([2, 40, 7, 5], 33), ([1, 64, 16, 16], 320), ([1, 33, 40, 39], 64)])
    func pointwiseConvolutions(input: [Int], outputs: Int) throws {
        guard Self.usesBytes else { return }
        let (batch, channels, pixels) = (input[0], input[1], input[2] * input[3])
        for inputIsLast in [false, true] {
            var graph = FusionGraph()
            let given = inputIsLast ? [batch, input[2], input[3], channels] : input
            let x = try graph.input(given)
            let w = try graph.weights([outputs, channels, 1, 1], isInFile: true)
            let bias = try graph.weights([outputs])
            func turned(_ value: ValueID, _ order: [Int64]) -> ValueID {
                graph.node("Transpose", value, attributes: NodeAttributes(["perm": .ints(order)]))
            }
            let pictures = inputIsLast ? turned(x, [0, 3, 1, 2]) : x
            let result = graph.node("Conv", pictures, w, bias)
            let y = inputIsLast ? result : turned(result, [0, 2, 3, 1])
            let profile = Profile()
            let found = try graph.result(y, options: Self.options, observer: profile)
            let numbers = try pseudoRandom(given, seed: UInt64(x + 1)).array(of: Float.self)
            let offsets = try #require(graph.graph.initializers[bias]).array(of: Float.self)
            let weights = try Matrix(#require(graph.graph.initializers[w]), rows: outputs, columns: channels)
            var expected: [Double] = []
            for picture in 0..<batch {
                let part = try floats(
                    Array(numbers[picture * channels * pixels..<(picture + 1) * channels * pixels]), [channels * pixels])
                let left =
                    inputIsLast
                    ? try Matrix(part, rows: pixels, columns: channels)
                    : try Matrix(part, rows: channels, columns: pixels).transpose
                let sums = Self.product(left, weights).enumerated().map { $1 + Double(offsets[$0 % outputs]) }
                expected +=
                    inputIsLast
                    ? (0..<outputs).flatMap { output in (0..<pixels).map { sums[$0 * outputs + output] } } : sums
            }
            #expect(profile.nodes.map(\.type) == [inputIsLast ? "Transpose+Conv" : "Conv+Transpose"])
            try check(found, expected, profile, "\(input) \(outputs), input last: \(inputIsLast)")
        }
    }

    /// Few pixels, whose windows are rows of a product.
    @Test func fewPixels() throws {
        guard Self.usesBytes else { return }
        let (x, w) = (try pseudoRandom([1, 40, 3, 5], seed: 1), try pseudoRandom([48, 40, 1, 1], seed: 2))
        let profile = Profile()
        let found = try runOnWeights("Conv", version: 11, inputs: [x, w], precision: .int8, observer: profile)
        let left = try Matrix(x, rows: 40, columns: 15).transpose
        let expected = try Matrix(
            floats(Self.product(left, Matrix(w, rows: 48, columns: 40)).map { Float($0) }, [15, 48]), rows: 15, columns: 48
        ).transpose.values.map { Double($0) }
        try check(found, expected, profile, "few pixels")
    }

    /// A row with a number that isn't finite has none that is; others are as they are without it. Nor have columns of such weights.
    @Test(arguments: [Float.infinity, -.infinity, .nan]) func notFinite(value: Float) throws {
        guard Self.usesBytes else { return }
        let (m, k, n) = (40, 70, 64)
        let (x, w) = (try pseudoRandom([m, k], seed: 1), try pseudoRandom([k, n], seed: 2))
        let plain = try runOnWeights("MatMul", version: 13, inputs: [x, w], precision: .int8).array(of: Float.self)
        for place in [0, 16, 69] {
            var (left, right) = (try x.array(of: Float.self), try w.array(of: Float.self))
            left[7 * k + place] = value
            right[place * n + 33] = value
            let found = try runOnWeights(
                "MatMul", version: 13, inputs: [floats(left, [m, k]), floats(right, [k, n])], precision: .int8
            ).array(of: Float.self)
            for index in 0..<m * n {
                if index / n == 7 || index % n == 33 {
                    #expect(!found[index].isFinite)
                } else {
                    #expect(found[index] == plain[index])
                }
            }
            // A transpose's columns.
            let turned = try Matrix(floats(left, [m, k]), rows: m, columns: k).transpose
            let other = try runOnWeights(
                "Gemm", version: 13, attributes: NodeAttributes(["transA": .int(1)]),
                inputs: [floats(turned.values, [k, m]), w], precision: .int8
            ).array(of: Float.self)
            for index in 0..<m * n { #expect(other[index].isFinite == (index / n != 7)) }
        }
    }

    /// Rows, and columns, of zeros and of tiny numbers, and the largest ones.
    @Test func extremeRows() throws {
        guard Self.usesBytes else { return }
        let (m, k, n) = (8, 64, 32)
        var left = try pseudoRandom([m, k], seed: 1).array(of: Float.self)
        let factors: [Float] = [0, 1e-38, 1e-29, 1e-20, 1, 1e20, 1e30, 3e38]
        for index in left.indices { left[index] *= factors[index / k] }
        var right = try pseudoRandom([k, n], seed: 2).array(of: Float.self)
        for row in 0..<k {
            right[row * n] = 0
            right[row * n + 1] *= 1e-35
            right[row * n + 2] *= 1e-20
        }
        let (x, w) = (try floats(left, [m, k]), try floats(right, [k, n]))
        let found = try runOnWeights("MatMul", version: 13, inputs: [x, w], precision: .int8).array(of: Float.self)
        let expected = Self.product(try Matrix(x, rows: m, columns: k), try Matrix(w, rows: k, columns: n).transpose)
        for index in found.indices {
            let sum = Float(expected[index])
            if sum.isInfinite {
                #expect(found[index] == sum)
            } else {
                #expect(abs(found[index] - sum) <= abs(sum) * 1e-5 + 1e-37, "\(index)")
            }
        }
    }

    /// Less than a tenth of a millisecond's work isn't rounded.
    @Test func littleWork() throws {
        guard !Self.usesBytes else { return }
        for extents in [[100, 400, 399], [4, 1000, 3999]] {
            let profile = Profile()
            let inputs = try [pseudoRandom([extents[0], extents[1]]), pseudoRandom([extents[1], extents[2]])]
            _ = try runOnWeights("MatMul", version: 13, inputs: inputs, precision: .int8, observer: profile)
            #expect(profile.nodes.last?.kernel?.contains("int8") != true)
        }
    }

    /// What has few rows, columns or numbers to a row, and all of it where there are no instructions for bytes, is as in single precision,
    /// or in bfloat16 where that has instructions.
    @Test(arguments: [[3, 65, 50], [8, 31, 64], [8, 64, 31], [4, 4, 8], [0, 64, 64], [5, 64, 0], [5, 0, 64], [1, 1, 1]])
    func fewNumbers(extents: [Int]) throws {
        let (m, k, n) = (extents[0], extents[1], extents[2])
        let inputs = [try pseudoRandom([m, k], seed: 1), try pseudoRandom([k, n], seed: 2)]
        let profile = Profile()
        let found = try runOnWeights("MatMul", version: 13, inputs: inputs, precision: .int8, observer: profile)
        #expect(profile.nodes.last?.kernel?.contains("int8") != true)
        let candidates = try [Precision.single, .bfloat16].map {
            try runOnWeights("MatMul", version: 13, inputs: inputs, precision: $0).array(of: Float.self)
        }
        #expect(candidates.contains(try found.array(of: Float.self)))
    }

    @Test func notWithoutInstructions() throws {
        guard !InstructionSet.multipliesBytes else { return }
        let inputs = [try pseudoRandom([40, 70], seed: 1), try pseudoRandom([70, 64], seed: 2)]
        let found = try runOnWeights("MatMul", version: 13, inputs: inputs, precision: .int8)
        try expectSame(found, runOnWeights("MatMul", version: 13, inputs: inputs))
    }

    /// With weights of 4 bits products stay in single precision; without the optimizer, and where memory is spared, nothing is rounded.
    @Test func otherOptions() throws {
        let inputs = [try pseudoRandom([40, 70], seed: 1), try pseudoRandom([70, 64], seed: 2)]
        let found = try runOnWeights("MatMul", version: 13, inputs: inputs, precision: .int8, weights: .int4)
        let single = try runOnWeights("MatMul", version: 13, inputs: inputs, weights: .int4)
        try expectSame(found, single)
    }
}
