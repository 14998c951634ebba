import Foundation
import GraphRuntime
import Ops
import TestSupport
import Testing

/// The vector kernels against the C library in double precision.
struct UnaryMathTests {
    struct Case: Sendable, CustomStringConvertible {
        let type: String
        let version: Int
        let range: ClosedRange<Float>
        /// The bound, in units in the last place of the exact result.
        let ulps: Double
        let exact: @Sendable (Double) -> Double
        var attributes = NodeAttributes()

        var description: String { "\(type) over \(range)" }
    }

    static let cases: [Case] = [
        Case(type: "Exp", version: 13, range: -103...88.7, ulps: 2, exact: { exp($0) }),
        Case(type: "Log", version: 13, range: (7 * .leastNonzeroMagnitude)...1e-3, ulps: 2, exact: { log($0) }),
        Case(type: "Log", version: 13, range: 0.01...1e6, ulps: 2, exact: { log($0) }),
        Case(type: "Log", version: 13, range: 0.5...2, ulps: 2, exact: { log($0) }),
        Case(type: "Erf", version: 13, range: -5...5, ulps: 2, exact: { erf($0) }),
        Case(type: "Tanh", version: 13, range: -10...10, ulps: 2, exact: { tanh($0) }),
        Case(type: "Sigmoid", version: 13, range: -80...80, ulps: 3, exact: { 1 / (1 + exp(-$0)) }),
        Case(type: "Sin", version: 7, range: -1000...1000, ulps: 2, exact: { sin($0) }),
        Case(type: "Cos", version: 7, range: -1000...1000, ulps: 2, exact: { cos($0) }),
        Case(type: "Sin", version: 7, range: 1e7...3e7, ulps: 2, exact: { sin($0) }),
        Case(type: "Atan", version: 7, range: -1.5...1.5, ulps: 2, exact: { atan($0) }),
        Case(type: "Atan", version: 7, range: 0...1e4, ulps: 2, exact: { atan($0) }),
        Case(type: "Asin", version: 7, range: -1...1, ulps: 2, exact: { asin($0) }),
        Case(type: "Acos", version: 7, range: -1...1, ulps: 2, exact: { acos($0) }),
        Case(type: "Tan", version: 7, range: -1000...1000, ulps: 1, exact: { tan($0) }),
        Case(type: "Tan", version: 7, range: -1e-3...1e-3, ulps: 1, exact: { tan($0) }),
        Case(type: "Tan", version: 7, range: 1e6...3e7, ulps: 2, exact: { tan($0) }),
        Case(type: "Sinh", version: 9, range: -89...89, ulps: 1, exact: { sinh($0) }),
        Case(type: "Sinh", version: 9, range: -1.5...1.5, ulps: 1, exact: { sinh($0) }),
        Case(type: "Cosh", version: 9, range: -89...89, ulps: 1, exact: { cosh($0) }),
        Case(type: "Asinh", version: 9, range: -3...3, ulps: 1, exact: { asinh($0) }),
        Case(type: "Asinh", version: 9, range: -1e38...1e38, ulps: 1, exact: { asinh($0) }),
        Case(type: "Acosh", version: 9, range: 1...1.01, ulps: 1, exact: { acosh($0) }),
        Case(type: "Acosh", version: 9, range: 1...1e38, ulps: 1, exact: { acosh($0) }),
        Case(type: "Atanh", version: 9, range: -1...1, ulps: 1, exact: { atanh($0) }),
        Case(type: "Sqrt", version: 13, range: 0...1e6, ulps: 1, exact: { $0.squareRoot() }),
        Case(type: "Softplus", version: 1, range: -80...80, ulps: 4, exact: { max($0, 0) + log1p(exp(-abs($0))) }),
        Case(type: "Mish", version: 18, range: -30...30, ulps: 6, exact: { $0 * tanh(max($0, 0) + log1p(exp(-abs($0)))) }),
        Case(type: "Gelu", version: 20, range: 0...6, ulps: 3, exact: { 0.5 * $0 * (1 + erf($0 * 0.5.squareRoot())) }),
        Case(type: "Elu", version: 6, range: -20...3, ulps: 4, exact: { $0 > 0 ? $0 : expm1($0) }),
        Case(type: "Swish", version: 24, range: -20...20, ulps: 5, exact: { $0 / (1 + exp(-$0)) }),
    ]

    @Test(arguments: cases)
    func staysWithinItsBound(_ entry: Case) throws {
        let count = 200_003
        let (low, high) = (entry.range.lowerBound, entry.range.upperBound)
        let values = (0..<count).map { low + (high - low) * Float($0) / Float(count - 1) }
        let x = try Tensor(values)
        let found = try run(entry.type, version: entry.version, attributes: entry.attributes, inputs: [x])[0].array(
            of: Float.self)
        var worst = 0.0
        for (value, result) in zip(values, found) {
            let exact = entry.exact(Double(value))
            if exact.isInfinite, Double(result) == exact { continue }
            worst = max(worst, abs(Double(result) - exact) / Double(Float(exact).ulp))
        }
        #expect(worst <= entry.ulps, "\(entry): \(worst) ulp")
    }

    /// Bounded in absolute terms: where the tangent's 1 + tanh cancels, the error is that of the sum.
    @Test func geluOfNegativeNumbers() throws {
        let values = (0...60_000).map { -6 + Float($0) / 10_000 }
        for (approximation, bound) in [("none", 1e-7), ("tanh", 1e-6)] {
            let attributes = NodeAttributes(["approximate": .string(approximation)])
            let found = try run("Gelu", version: 20, attributes: attributes, inputs: [Tensor(values)])[0].array(of: Float.self)
            let worst =
                zip(values, found).map { value, result -> Double in
                    let x = Double(value)
                    let cubic = (2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)
                    let exact = approximation == "none" ? 0.5 * x * erfc(-x * 0.5.squareRoot()) : 0.5 * x * (1 + tanh(cubic))
                    return abs(Double(result) - exact)
                }.max() ?? 0
            #expect(worst <= bound, "\(approximation): \(worst)")
        }
    }

    @Test func specialNumbers() throws {
        let x = try floats([.nan, .infinity, -.infinity, 0, -1], [5])
        func check(_ type: String, _ version: Int, _ expected: [Float]) throws {
            let found = try run(type, version: version, inputs: [x])[0].array(of: Float.self)
            expectEqual(found, expected, type)
        }
        try check("Exp", 13, [.nan, .infinity, 0, 1, Float(exp(-1.0))])
        try check("Log", 13, [.nan, .infinity, .nan, -.infinity, .nan])
        try check("Tanh", 13, [.nan, 1, -1, 0, Float(tanh(-1.0))])
        try check("Erf", 13, [.nan, 1, -1, 0, Float(erf(-1.0))])
        try check("Sigmoid", 13, [.nan, 1, 0, 0.5, Float(1 / (1 + exp(1.0)))])
        try check("Atan", 7, [.nan, Float(Double.pi / 2), Float(-Double.pi / 2), 0, Float(-Double.pi / 4)])
        try check("Sin", 7, [.nan, .nan, .nan, 0, Float(sin(-1.0))])
        try check("Tan", 7, [.nan, .nan, .nan, 0, Float(tan(-1.0))])
        try check("Asin", 7, [.nan, .nan, .nan, 0, Float(-Double.pi / 2)])
        try check("Acos", 7, [.nan, .nan, .nan, Float(Double.pi / 2), Float(Double.pi)])
        try check("Sinh", 9, [.nan, .infinity, -.infinity, 0, Float(sinh(-1.0))])
        try check("Cosh", 9, [.nan, .infinity, .infinity, 1, Float(cosh(-1.0))])
        try check("Asinh", 9, [.nan, .infinity, -.infinity, 0, Float(asinh(-1.0))])
        try check("Acosh", 9, [.nan, .infinity, .nan, .nan, .nan])
        try check("Atanh", 9, [.nan, .nan, .nan, 0, -.infinity])
        try check("Sign", 13, [.nan, 1, -1, 0, -1])
        try check("Relu", 14, [.nan, .infinity, 0, 0, 0])
        let halves = try floats([0.5, 1.5, 2.5, -0.5, -1.5], [5])
        try expectEqual(run("Round", version: 11, inputs: [halves])[0], [0, 2, 2, 0, -2] as [Float])
    }

    /// Tails shorter than a vector, nothing at all, and every thread count.
    @Test(arguments: [0, 1, 7, 15, 16, 17, 33, 1025, 100_001])
    func tails(_ count: Int) throws {
        let x = try pseudoRandom([count])
        let one = try run("Sigmoid", version: 13, inputs: [x], threads: 1)[0]
        let three = try run("Sigmoid", version: 13, inputs: [x], threads: 3)[0]
        let expected = try x.array(of: Float.self).map { 1 / (1 + exp(-$0)) }
        try expectClose(one, expected, within: Tolerance(ofLargest: 1e-6))
        try expectSame(one, three)
    }

    /// A number has one result, wherever it is in a tensor and whatever is beside it.
    @Test(arguments: MathNames.floats) func resultsDependOnTheNumberAlone(_ type: String, _ version: Int) throws {
        let special: [Float] = [.nan, -.nan, .infinity, -.infinity, -0.0, 0, 1, -1, 1e-40, -1e-40, 100, -100, 3e7, -3e38, 0.5]
        let values = try pseudoRandom([301]).array(of: Float.self).enumerated().map { index, value in
            index % 7 == 3 && index > 100 ? special[index % special.count] : value
        }
        func bits(_ values: ArraySlice<Float>) throws -> [UInt32] {
            try run(type, version: version, inputs: [Tensor(Array(values))])[0].array(of: Float.self).map(\.bitPattern)
        }
        let alone = try values.indices.map { try bits(values[$0...$0])[0] }
        for start in [0, 1, 100, 283, 299] {
            expectEqual(try bits(values[start...]), Array(alone[start...]), "\(type) from \(start)")
        }
    }

    enum MathNames {
        static let floats = [
            ("Exp", 13), ("Log", 13), ("Sin", 7), ("Cos", 7), ("Tan", 7), ("Asin", 7), ("Acos", 7), ("Atan", 7), ("Sinh", 9),
            ("Cosh", 9), ("Asinh", 9), ("Acosh", 9), ("Atanh", 9), ("Tanh", 13), ("Erf", 13), ("Sqrt", 13), ("Relu", 14),
        ]
    }

    /// Double precision against the C library's, and the signs of zeros.
    @Test func doublePrecision() throws {
        func check(
            _ type: String, _ version: Int, _ range: ClosedRange<Double>, ulps: Double, _ exact: (Double) -> Double
        ) throws {
            let values = (0..<20_003).map { range.lowerBound + (range.upperBound - range.lowerBound) * Double($0) / 20_002 }
            let special: [Double] = [.nan, .infinity, -.infinity, -0.0, 0, 5e-324, -1, 0.5, 1.5, 2.5, -0.5]
            let x = special + values
            let found = try run(type, version: version, inputs: [Tensor(x)])[0].array(of: Double.self)
            for (value, result) in zip(x, found) {
                let expected = exact(value)
                let isSame = result.bitPattern == expected.bitPattern || (result.isNaN && expected.isNaN)
                #expect(
                    isSame || abs(result - expected) <= ulps * expected.ulp, "\(type)(\(value)) = \(result), not \(expected)")
            }
        }
        try check("Exp", 13, -746...710, ulps: 2) { exp($0) }
        try check("Exp", 13, -1...1, ulps: 2) { exp($0) }
        try check("Log", 13, 0.5...2, ulps: 2) { log($0) }
        try check("Log", 13, 0...1e300, ulps: 2) { log($0) }
        try check("Tanh", 13, -20...20, ulps: 4) { tanh($0) }
        try check("Sigmoid", 13, -40...40, ulps: 4) { 1 / (1 + exp(-$0)) }
        try check("Sqrt", 13, 0...1e6, ulps: 0) { $0.squareRoot() }
        try check("Reciprocal", 13, -10...1e6, ulps: 0) { 1 / $0 }
        try check("Abs", 13, -10...10, ulps: 0) { abs($0) }
        try check("Neg", 13, -10...10, ulps: 0) { -$0 }
        try check("Floor", 13, -10...10, ulps: 0) { $0.rounded(.down) }
        try check("Ceil", 13, -10...10, ulps: 0) { $0.rounded(.up) }
        try check("Round", 11, -10...10, ulps: 0) { $0.rounded(.toNearestOrEven) }
        try check("Relu", 14, -10...10, ulps: 0) { $0 < 0 ? 0 : $0 }
        try check("Sin", 7, -10...10, ulps: 1) { sin($0) }
    }

    @Test func halfAndDoublePrecision() throws {
        let half = try run("Tanh", version: 13, inputs: [Tensor([Float16(0.5), -2])])[0]
        try expectEqual(half, [Float16(tanh(0.5)), Float16(tanh(-2.0))] as [Float16])
        let double = try run("Mish", version: 18, inputs: [Tensor([1.0])])[0]
        #expect(try abs(double.array(of: Double.self)[0] - tanh(log(1 + exp(1.0)))) < 1e-15)
    }

    @Test(arguments: [("HardSigmoid", 6), ("HardSwish", 14), ("LeakyRelu", 16), ("Elu", 6), ("Celu", 12), ("Selu", 6)])
    func activationsKeepNaN(_ type: String, _ version: Int) throws {
        let x = try Tensor([Double.nan, -.nan, 9])
        let doubles = try run(type, version: version, inputs: [x])[0].array(of: Double.self)
        let floats = try run(type, version: version, inputs: [Tensor([Float.nan, -.nan, 9])])[0].array(of: Float.self)
        #expect(doubles[0].isNaN && doubles[1].isNaN && doubles[2].isFinite)
        #expect(floats[0].isNaN && floats[1].isNaN && floats[2].isFinite)
    }

    @Test func gelusOfComMicrosoft() throws {
        let x = try floats([-1, 0.5, 2], [3])
        let bias = try floats([0.25], [1])
        let sums = try run("Add", version: 14, inputs: [x, bias])[0]
        let exact = try run("Gelu", version: 20, inputs: [sums])[0].array(of: Float.self)
        try expectEqual(run("BiasGelu", version: 1, domain: "com.microsoft", inputs: [x, bias])[0], exact)
        let tanh = NodeAttributes(["approximate": .string("tanh")])
        let approximate = try run("Gelu", version: 20, attributes: tanh, inputs: [x])[0].array(of: Float.self)
        try expectEqual(run("FastGelu", version: 1, domain: "com.microsoft", inputs: [x])[0], approximate)
        let quick = try run("QuickGelu", version: 1, domain: "com.microsoft", inputs: [x])[0]
        try expectClose(
            quick, x.array(of: Float.self).map { $0 / (1 + expf(-1.702 * $0)) }, within: Tolerance(ofLargest: 1e-6))
    }

    @Test func parametersOfActivations() throws {
        let x = try floats([-2, -0.25, 0.25, 2], [4])
        func check(_ type: String, _ version: Int, _ attributes: NodeAttributes, _ expected: [Float]) throws {
            let found = try run(type, version: version, attributes: attributes, inputs: [x])[0]
            try expectClose(found, expected, within: Tolerance(ofLargest: 1e-6), type)
        }
        try check("LeakyRelu", 16, NodeAttributes(["alpha": .float(0.1)]), [-0.2, -0.025, 0.25, 2])
        try check("HardSigmoid", 6, NodeAttributes(["alpha": .float(0.5), "beta": .float(0.6)]), [0, 0.475, 0.725, 1])
        try check("ThresholdedRelu", 10, NodeAttributes(["alpha": .float(0.2)]), [0, 0, 0.25, 2])
        try check("Shrink", 9, NodeAttributes(["lambd": .float(0.5), "bias": .float(1)]), [-1, 0, 0, 1])
        try check("HardSwish", 14, NodeAttributes(), [-1.0 / 3, -0.25 * (0.5 - 0.25 / 6), 0.25 * (0.5 + 0.25 / 6), 5.0 / 3])
        try check("Celu", 12, NodeAttributes(["alpha": .float(2)]), [2 * expm1f(-1), 2 * expm1f(-0.125), 0.25, 2])
        let selu: [Float] = [-2, -0.25].map { 1.0507 * 1.67326 * expm1f($0) } + [1.0507 * 0.25, 1.0507 * 2]
        try check("Selu", 6, NodeAttributes(["alpha": .float(1.67326), "gamma": .float(1.0507)]), selu)
        try check("Softsign", 1, NodeAttributes(), [-2.0 / 3, -0.2, 0.2, 2.0 / 3])
    }
}
