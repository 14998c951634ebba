import GraphRuntime

/// Rows of features times coefficients, with intercepts, in single precision as the results are.
struct LinearFunction: Sendable {
    /// [targets, features]
    let coefficients: [Double]
    /// One for each target, or none.
    let intercepts: [Double]
    let targets: Int

    init(coefficients: [Float], intercepts: [Float], targets: Int) throws(TensorError) {
        guard targets > 0, targets <= 1 << 16, coefficients.count % targets == 0 else {
            throw TensorError("\(coefficients.count) coefficients don't fit \(targets) targets")
        }
        guard intercepts.isEmpty || intercepts.count == targets else {
            throw TensorError("attribute intercepts has \(intercepts.count) elements, expected \(targets)")
        }
        self.coefficients = coefficients.map { Double($0) }
        self.intercepts = intercepts.map { Double($0) }
        self.targets = targets
    }

    var features: Int { coefficients.count / targets }

    func require(_ x: FeatureMatrix) throws(TensorError) {
        guard x.features == features else {
            throw TensorError(
                "\(coefficients.count) coefficients of \(targets) targets are for \(features) features, found \(x.features)")
        }
    }

    func callAsFunction(_ row: Int, of x: FeatureMatrix) -> [Double] {
        (0..<targets).map { target in
            var sum = intercepts.isEmpty ? 0 : intercepts[target]
            for feature in 0..<features { sum += x[row, feature] * coefficients[target * features + feature] }
            return sum
        }
    }
}

/// LinearRegressor (ai.onnx.ml, 1): [N, targets].
struct LinearRegressor: Operator {
    let function: LinearFunction
    let transform: PostTransform

    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        [
            Fact(
                dtype: .float32,
                shape: try FeatureMatrix.rows(inputs[0].shape).map { try Shape([$0, function.targets]) })
        ]
    }

    func run(_ context: inout RunContext) throws {
        let x = try FeatureMatrix(context.input(0))
        try function.require(x)
        try context.output(0).forEachSlice(
            of: Float.self, unit: function.targets, grain: 16, threads: context.threads
        ) { rows, y in
            for row in rows {
                let start = (row - rows.lowerBound) * function.targets
                for (index, value) in transform.applied(to: function(row, of: x)).enumerated() {
                    y[start + index] = Float(value)
                }
            }
        }
    }
}

/// LinearClassifier (ai.onnx.ml, 1): the class of each row, and the scores [N, classes].
struct LinearClassifier: Operator {
    let function: LinearFunction
    let labels: ClassLabels
    let transform: PostTransform

    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    /// One function decides between two classes.
    private var width: Int { function.targets == 1 && labels.count == 2 ? 2 : function.targets }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let rows = try FeatureMatrix.rows(inputs[0].shape)
        let facts = [
            try labels.fact(rows: rows), Fact(dtype: .float32, shape: try rows.map { try Shape([$0, width]) }),
        ]
        return Array(facts.prefix(max(inputs.outputCount, 1)))
    }

    func run(_ context: inout RunContext) throws {
        let x = try FeatureMatrix(context.input(0))
        try function.require(x)
        var classes: [ChosenClass] = []
        let output = context.optionalOutput(1)
        let scores = try output ?? MutableTensor(dtype: .float32, shape: Shape([x.rows, width]))
        try scores.withMutableSpan(of: Float.self) { y in
            for row in 0..<x.rows {
                let values = function(row, of: x)
                classes.append(chosen(values))
                let results = transform.applied(to: values, second: width == 2 ? .complement : .none)
                for index in 0..<width { y[row * width + index] = index < results.count ? Float(results[index]) : 0 }
            }
        }
        try labels.write(classes, to: 0, &context)
    }

    private func chosen(_ values: [Double]) -> ChosenClass {
        guard values.count == 1 else {
            var best = 0
            for index in values.indices where Float(values[index]) > Float(values[best]) { best = index }
            return .label(best)
        }
        guard labels.count == 2 else { return values[0] > 0 ? .positive : .negative }
        return .label(values[0] > 0 ? 1 : 0)
    }
}

/// The registry entries of linear models.
enum LinearModels {
    static let definitions = [
        OperatorDefinition(traditionalML: "LinearRegressor") { decoder in
            try decoder.requireInputs(1...1)
            let function = try LinearFunction(
                coefficients: try decoder.optionalFloats("coefficients") ?? [],
                intercepts: try decoder.optionalFloats("intercepts") ?? [],
                targets: try decoder.int("targets", default: 1))
            return LinearRegressor(function: function, transform: try PostTransform(&decoder))
        },
        OperatorDefinition(traditionalML: "LinearClassifier") { decoder in
            try decoder.requireInputs(1...1)
            // How it was trained; the scores say the same of either.
            decoder.ignore("multi_class")
            let labels = try decoder.classLabels(strings: "classlabels_strings", integers: "classlabels_ints")
            let intercepts = try decoder.optionalFloats("intercepts") ?? []
            let function = try LinearFunction(
                coefficients: try decoder.optionalFloats("coefficients") ?? [], intercepts: intercepts,
                targets: intercepts.isEmpty ? labels.count : intercepts.count)
            guard function.targets == labels.count || function.targets == 1 else {
                throw TensorError("\(labels.count) labels don't fit \(function.targets) functions")
            }
            return LinearClassifier(function: function, labels: labels, transform: try PostTransform(&decoder))
        },
    ]
}
