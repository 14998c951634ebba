import Foundation
import GraphRuntime

/// The kernel of a support vector machine, as LIBSVM defines it (Chang and Lin 2011).
struct SupportVectorKernel: Sendable {
    enum Kind: String, Sendable {
        case linear = "LINEAR"
        case polynomial = "POLY"
        case radial = "RBF"
        case sigmoid = "SIGMOID"
    }

    let kind: Kind
    let gamma: Double
    let constant: Double
    let degree: Double

    init(_ decoder: inout NodeDecoder) throws(TensorError) {
        let name = try decoder.string("kernel_type", default: "LINEAR")
        guard let kind = Kind(rawValue: name) else {
            throw TensorError("attribute kernel_type should be LINEAR, POLY, RBF or SIGMOID, found \"\(name)\"")
        }
        let parameters = try decoder.optionalFloats("kernel_params") ?? []
        guard parameters.isEmpty || parameters.count == 3 else {
            throw TensorError("attribute kernel_params has \(parameters.count) elements, expected gamma, coef0 and degree")
        }
        self.kind = kind
        (gamma, constant, degree) =
            parameters.isEmpty ? (0, 0, 0) : (Double(parameters[0]), Double(parameters[1]), Double(parameters[2]))
    }

    /// Of a row and the vector that begins at `start`.
    func callAsFunction(_ row: Int, of x: FeatureMatrix, _ vectors: [Double], from start: Int) -> Double {
        var sum = 0.0
        if kind == .radial {
            for feature in 0..<x.features {
                let difference = x[row, feature] - vectors[start + feature]
                sum += difference * difference
            }
            return exp(-gamma * sum)
        }
        for feature in 0..<x.features { sum += x[row, feature] * vectors[start + feature] }
        return switch kind {
        case .polynomial: pow(gamma * sum + constant, degree)
        case .sigmoid: tanh(gamma * sum + constant)
        case .linear, .radial: sum
        }
    }
}

/// SVMRegressor (ai.onnx.ml, 1): [N, 1].
struct SVMRegressor: Operator {
    let kernel: SupportVectorKernel
    /// [vectors, features]; the coefficients themselves are the one vector of a linear model.
    let vectors: [Double]
    let coefficients: [Double]
    let features: Int
    let rho: Double
    /// Whether the answer is 1 inside of the class and -1 outside.
    let isOneClass: Bool

    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        [Fact(dtype: .float32, shape: try FeatureMatrix.rows(inputs[0].shape).map { try Shape([$0, 1]) })]
    }

    func run(_ context: inout RunContext) throws {
        let x = try FeatureMatrix(context.input(0))
        guard x.features == features else { throw TensorError("expected \(features) features, found \(x.features)") }
        try context.output(0).forEachSlice(of: Float.self, grain: 16, threads: context.threads) { rows, y in
            for row in rows {
                var sum = rho
                for index in coefficients.indices {
                    sum += coefficients[index] * kernel(row, of: x, vectors, from: index * features)
                }
                y[row - rows.lowerBound] = isOneClass ? (sum > 0 ? 1 : -1) : Float(sum)
            }
        }
    }
}

/// SVMClassifier (ai.onnx.ml, 1): the class of each row; and scores, [N, classes] where the machine has probabilities or is linear and
/// for two classes, else one for each pair of classes.
struct SVMClassifier: Operator {
    let kernel: SupportVectorKernel
    let labels: ClassLabels
    let transform: PostTransform
    /// [vectors, features]; of a linear machine the coefficients, [classes, features].
    let vectors: [Double]
    /// [classes - 1, vectors]: of a vector the coefficients against each other class.
    let coefficients: [Double]
    /// Where the vectors of each class begin; nil for a linear machine.
    let starts: [Int]?
    let features: Int
    let rho: [Double]
    /// Platt's sigmoids for the pairs; nil for a machine without probabilities.
    let sigmoids: (a: [Double], b: [Double])?
    let isPositive: Bool

    private var classes: Int { labels.count }
    private var pairs: Int { classes * (classes - 1) / 2 }
    private var width: Int { starts == nil || sigmoids != nil || classes <= 2 ? max(classes, starts == nil ? 1 : 2) : pairs }

    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let rows = try FeatureMatrix.rows(inputs[0].shape)
        let facts = [
            try labels.fact(rows: rows), Fact(dtype: .float32, shape: try rows.map { try Shape([$0, width]) }),
        ]
        return Array(facts.prefix(max(inputs.outputCount, 1)))
    }

    func run(_ context: inout RunContext) throws {
        let x = try FeatureMatrix(context.input(0))
        guard x.features == features else { throw TensorError("expected \(features) features, found \(x.features)") }
        let output = context.optionalOutput(1)
        let scores = try output ?? MutableTensor(dtype: .float32, shape: Shape([x.rows, width]))
        let choices = try MutableTensor(dtype: .int64, shape: Shape([x.rows]))
        try scores.forEachSlice(
            of: Float.self, unit: width, and: choices, of: Int64.self, grain: 4, threads: context.threads
        ) { rows, y, choices in
            for row in rows {
                let (place, values) = decide(row, x)
                choices[row - rows.lowerBound] = Int64(place)
                let start = (row - rows.lowerBound) * width
                for index in 0..<width { y[start + index] = index < values.count ? Float(values[index]) : 0 }
            }
        }
        let places = try choices.finish().array(of: Int64.self)
        try labels.write(places.map { .label(Int($0)) }, to: 0, &context)
    }

    private func decide(_ row: Int, _ x: FeatureMatrix) -> (place: Int, scores: [Double]) {
        guard let starts else {
            let scores = (0..<classes).map { kernel(row, of: x, vectors, from: $0 * features) + rho[0] }
            var best = 0
            for index in scores.indices where scores[index] > scores[best] { best = index }
            if classes == 2 {
                let isSecond = isPositive ? scores[best] >= 0.5 : scores[best] > 0
                if isSecond { best = 1 }
            }
            return (best, transform.transformed(scores))
        }
        let count = vectors.count / max(features, 1)
        let products = (0..<count).map { kernel(row, of: x, vectors, from: $0 * features) }
        var votes = [Int](repeating: 0, count: classes)
        var scores: [Double] = []
        for i in 0..<classes {
            for j in i + 1..<max(classes, i + 1) {
                var sum = rho[scores.count]
                for k in starts[i]..<starts[i + 1] { sum += coefficients[(j - 1) * count + k] * products[k] }
                for k in starts[j]..<starts[j + 1] { sum += coefficients[i * count + k] * products[k] }
                votes[sum > 0 ? i : j] += 1
                scores.append(sum)
            }
        }
        var best = 0
        if let sigmoids {
            let probabilities = Self.coupled(
                scores.indices.map { 1 - PostTransform.logistic(scores[$0] * sigmoids.a[$0] + sigmoids.b[$0]) }, classes)
            for index in votes.indices where votes[index] > votes[best] { best = index }
            return (best, transform.transformed(probabilities))
        }
        for index in votes.indices where votes[index] > votes[best] { best = index }
        guard classes == 2 else { return (best, transform.transformed(scores)) }
        return (best, transform.applied(to: scores, second: transform == .none ? .negated : .complement))
    }

    /// The probabilities of classes from those of pairs: the second method of Wu, Lin and Weng (2004), as LIBSVM iterates it.
    private static func coupled(_ pairs: [Double], _ classes: Int) -> [Double] {
        let least = 1e-7
        var r = [[Double]](repeating: [Double](repeating: 0, count: classes), count: classes)
        var index = 0
        for i in 0..<classes {
            for j in i + 1..<max(classes, i + 1) {
                r[i][j] = min(max(pairs[index], least), 1 - least)
                r[j][i] = 1 - r[i][j]
                index += 1
            }
        }
        var q = r
        for t in 0..<classes {
            q[t][t] = (0..<classes).reduce(0) { $1 == t ? $0 : $0 + r[$1][t] * r[$1][t] }
            for j in 0..<classes where j != t { q[t][j] = -r[j][t] * r[t][j] }
        }
        var p = [Double](repeating: 1 / Double(classes), count: classes)
        var qp = p
        for _ in 0..<max(100, classes) {
            var pqp = 0.0
            for t in 0..<classes {
                qp[t] = (0..<classes).reduce(0) { $0 + q[t][$1] * p[$1] }
                pqp += p[t] * qp[t]
            }
            if qp.allSatisfy({ abs($0 - pqp) < 0.005 / Double(classes) }) { break }
            for t in 0..<classes {
                let difference = (pqp - qp[t]) / q[t][t]
                p[t] += difference
                pqp = (pqp + difference * (difference * q[t][t] + 2 * qp[t])) / (1 + difference) / (1 + difference)
                for j in 0..<classes {
                    qp[j] = (qp[j] + difference * q[t][j]) / (1 + difference)
                    p[j] /= 1 + difference
                }
            }
        }
        return p
    }
}

/// The registry entries of support vector machines.
enum SupportVectorMachines {
    static let definitions = [
        OperatorDefinition(traditionalML: "SVMRegressor") { decoder in
            try decoder.requireInputs(1...1)
            let coefficients = (try decoder.optionalFloats("coefficients") ?? []).map { Double($0) }
            let vectors = (try decoder.optionalFloats("support_vectors") ?? []).map { Double($0) }
            let count = try decoder.int("n_supports", default: 0)
            // Neither runtimes nor the specification say of what; results are as they are.
            guard try PostTransform(&decoder) == .none else {
                throw TensorError("attribute post_transform of a regression should be NONE")
            }
            let kernel = try SupportVectorKernel(&decoder)
            let rho = try decoder.optionalFloats("rho") ?? []
            guard rho.count == 1 else { throw TensorError("attribute rho has \(rho.count) elements, expected 1") }
            let isOneClass = try decoder.bool("one_class", default: false)
            if count > 0 {
                guard coefficients.count == count, !vectors.isEmpty, vectors.count % count == 0 else {
                    throw TensorError(
                        "\(coefficients.count) coefficients and \(vectors.count) numbers don't fit \(count) support vectors")
                }
                return SVMRegressor(
                    kernel: kernel, vectors: vectors, coefficients: coefficients, features: vectors.count / count,
                    rho: Double(rho[0]), isOneClass: isOneClass)
            }
            guard kernel.kind == .linear, !coefficients.isEmpty else {
                throw TensorError("a machine without support vectors should be linear and have coefficients")
            }
            return SVMRegressor(
                kernel: kernel, vectors: coefficients, coefficients: [1], features: coefficients.count,
                rho: Double(rho[0]), isOneClass: isOneClass)
        },
        OperatorDefinition(traditionalML: "SVMClassifier", decode: classifier),
    ]

    @Sendable private static func classifier(_ decoder: inout NodeDecoder) throws -> any Operator {
        try decoder.requireInputs(1...1)
        let labels = try decoder.classLabels(strings: "classlabels_strings", integers: "classlabels_ints")
        let classes = labels.count
        guard classes <= 1 << 12 else { throw TensorError("\(classes) classes are more than \(1 << 12)") }
        let coefficients = (try decoder.optionalFloats("coefficients") ?? []).map { Double($0) }
        let vectors = (try decoder.optionalFloats("support_vectors") ?? []).map { Double($0) }
        let ofClass = try decoder.optionalInts("vectors_per_class") ?? []
        let rho = (try decoder.optionalFloats("rho") ?? []).map { Double($0) }
        let a = (try decoder.optionalFloats("prob_a") ?? []).map { Double($0) }
        let b = (try decoder.optionalFloats("prob_b") ?? []).map { Double($0) }
        let kernel = try SupportVectorKernel(&decoder)
        let transform = try PostTransform(&decoder)
        let isPositive = coefficients.allSatisfy { $0 >= 0 }
        guard ofClass.allSatisfy({ (0...1 << 32).contains($0) }), ofClass.count <= classes else {
            throw TensorError("attribute vectors_per_class \(ofClass) doesn't fit \(classes) classes")
        }
        let count = ofClass.reduce(0, +)
        guard count > 0 else {
            guard kernel.kind == .linear, !coefficients.isEmpty, coefficients.count % classes == 0, !rho.isEmpty else {
                throw TensorError(
                    "\(coefficients.count) coefficients and \(rho.count) rho don't fit a linear machine of \(classes) classes")
            }
            return SVMClassifier(
                kernel: kernel, labels: labels, transform: transform, vectors: coefficients, coefficients: [], starts: nil,
                features: coefficients.count / classes, rho: rho, sigmoids: nil, isPositive: isPositive)
        }
        let pairs = classes * (classes - 1) / 2
        guard classes >= 2, ofClass.count == classes, coefficients.count == (classes - 1) * count, rho.count == pairs,
            !vectors.isEmpty, vectors.count % count == 0
        else {
            throw TensorError(
                "\(coefficients.count) coefficients, \(vectors.count) numbers of support vectors and \(rho.count) rho don't fit "
                    + "\(classes) classes with \(count) vectors")
        }
        guard a.count == b.count, a.isEmpty || a.count == pairs else {
            throw TensorError("\(a.count) prob_a and \(b.count) prob_b don't fit \(pairs) pairs of classes")
        }
        return SVMClassifier(
            kernel: kernel, labels: labels, transform: transform, vectors: vectors, coefficients: coefficients,
            starts: ofClass.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) }, features: vectors.count / count, rho: rho,
            sigmoids: a.isEmpty ? nil : (a, b), isPositive: isPositive)
    }
}
