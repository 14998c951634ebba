import GraphRuntime

/// How the votes of trees become one.
enum TreeAggregation: String, Sendable {
    case average = "AVERAGE"
    case sum = "SUM"
    case least = "MIN"
    case most = "MAX"
}

/// Trees whose leaves vote for targets.
struct TreeEnsemble: Sendable {
    let trees: DecisionTrees
    let targets: Int
    var aggregation = TreeAggregation.sum

    /// The votes for the targets of all rows, [N, targets], and which of them some leaf voted for.
    ///
    /// - Parameter isDouble: whether sums are kept in double precision; otherwise every addition is rounded to single precision, in the
    ///   order of the trees, so that classes with equally many votes are so in every runtime.
    func votes(
        _ x: FeatureMatrix, isDouble: Bool, threads: ThreadPool
    ) throws -> (scores: TensorView<Double>, isScored: TensorView<UInt8>) {
        try x.require(features: trees.featureCount)
        let shape = try Shape([x.rows, targets])
        let scores = try MutableTensor(dtype: .float64, shape: shape)
        let flags = try MutableTensor(dtype: .uint8, shape: shape)
        try scores.forEachSlice(
            of: Double.self, unit: targets, and: flags, of: UInt8.self, otherUnit: targets,
            grain: max(1, 512 / max(trees.roots.count, 1)), threads: threads
        ) { rows, scores, flags in
            for index in 0..<scores.count { (scores[index], flags[index]) = (0, 0) }
            let width = trees.featureCount
            for first in stride(from: rows.lowerBound, to: rows.upperBound, by: Self.together) {
                let some = first..<min(first + Self.together, rows.upperBound)
                vote(
                    some, x.values(some, features: width), width, isDouble, &scores, &flags,
                    from: (first - rows.lowerBound) * targets)
            }
        }
        return (try scores.finish().view(of: Double.self), try flags.finish().view(of: UInt8.self))
    }

    /// Rows that go through a tree one after the other, while it is in the cache.
    private static let together = 32

    private func vote(
        _ rows: Range<Int>, _ features: [Double], _ featureCount: Int, _ isDouble: Bool, _ scores: inout MutableSpan<Double>,
        _ flags: inout MutableSpan<UInt8>, from start: Int
    ) {
        trees.forEachLeaf(features, rows: rows.count, width: featureCount) { row, votes in
            for index in votes {
                let vote = trees.votes[index]
                let place = start + row * targets + vote.target
                let (old, isFirst) = (scores[place], flags[place] == 0)
                let new: Double =
                    switch aggregation {
                    case .sum, .average: old + vote.weight
                    case .least: isFirst ? vote.weight : min(old, vote.weight)
                    case .most: isFirst ? vote.weight : max(old, vote.weight)
                    }
                scores[place] = isDouble ? new : Double(Float(new))
                flags[place] = 1
            }
        }
        guard aggregation == .average, !trees.roots.isEmpty else { return }
        for place in start..<start + rows.count * targets { scores[place] /= Double(trees.roots.count) }
    }
}

/// TreeEnsembleRegressor (ai.onnx.ml, 1 to 5), whose result is in single precision, and TreeEnsemble (5), whose result has the type of
/// the input: [N, targets].
struct TreeEnsembleRegressor: Operator {
    let ensemble: TreeEnsemble
    let baseValues: [Double]
    let transform: PostTransform
    /// Whether the result has the type of the input.
    let keepsType: Bool

    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let x = try inputs[0]
        let shape = try FeatureMatrix.rows(x.shape).map { try Shape([$0, ensemble.targets]) }
        return [Fact(dtype: keepsType ? x.dtype : .float32, shape: shape)]
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        let matrix = try FeatureMatrix(x)
        let scores = try ensemble.votes(matrix, isDouble: x.dtype == .float64, threads: context.threads).scores
        let output = try context.output(0)
        if output.dtype == .float64 {
            try output.withMutableSpan(of: Double.self) { y in
                for row in 0..<matrix.rows { write(row, scores) { y[$0] = $1 } }
            }
        } else {
            try output.withMutableSpan(of: Float.self) { y in
                for row in 0..<matrix.rows { write(row, scores) { y[$0] = Float($1) } }
            }
        }
    }

    private func write(_ row: Int, _ scores: TensorView<Double>, _ set: (Int, Double) -> Void) {
        let places = row * ensemble.targets..<(row + 1) * ensemble.targets
        if transform == .none, baseValues.isEmpty {
            for place in places { set(place, scores[place]) }
            return
        }
        let sums = zip(places, 0...).map { place, target in
            scores[place] + (target < baseValues.count ? baseValues[target] : 0)
        }
        for (place, value) in zip(places, transform.applied(to: sums)) { set(place, value) }
    }
}

/// TreeEnsembleClassifier (ai.onnx.ml, 1 to 5): the class of each row, and the scores of all classes [N, classes].
///
/// The specification leaves open what the scores of two classes are where the leaves vote for one alone; this is ONNX Runtime's rule, by
/// which the converters go.
struct TreeEnsembleClassifier: Operator {
    let ensemble: TreeEnsemble
    let baseValues: [Double]
    let transform: PostTransform
    let labels: ClassLabels
    /// Whether all leaves vote for one and the same of two classes.
    let isOneSided: Bool
    /// Whether no weight is negative: they are probabilities then.
    let isPositive: Bool

    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    private var width: Int { ensemble.targets }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let rows = try FeatureMatrix.rows(inputs[0].shape)
        let facts = [
            try labels.fact(rows: rows), Fact(dtype: .float32, shape: try rows.map { try Shape([$0, width]) }),
        ]
        return Array(facts.prefix(max(inputs.outputCount, 1)))
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        let matrix = try FeatureMatrix(x)
        let (votes, isScored) = try ensemble.votes(matrix, isDouble: x.dtype == .float64, threads: context.threads)
        var classes: [ChosenClass] = []
        let output = context.optionalOutput(1)
        let scores = try output ?? MutableTensor(dtype: .float32, shape: Shape([matrix.rows, width]))
        try scores.withMutableSpan(of: Float.self) { y in
            for row in 0..<matrix.rows {
                let places = row * width..<(row + 1) * width
                let (chosen, values) = decide(places.map { votes[$0] }, places.map { isScored[$0] != 0 })
                classes.append(chosen)
                for (place, index) in zip(places, 0...) { y[place] = index < values.count ? Float(values[index]) : 0 }
            }
        }
        try labels.write(classes, to: 0, &context)
    }

    private func decide(_ votes: [Double], _ isScored: [Bool]) -> (chosen: ChosenClass, scores: [Double]) {
        guard isOneSided || width == 1 else { return decideAmongAll(votes, isScored) }
        var scores = votes
        let isSecond = width == 2 && isScored[1]
        switch (width, baseValues.count) {
        case (1, 2): scores = [-(votes[0] + baseValues[1]), votes[0] + baseValues[1]]
        case (1, 1): scores = [votes[0] + baseValues[0]]
        case (1, _): break
        case (_, 2): scores = [votes[0] + baseValues[0], votes[1] + baseValues[1]]
        case (_, 1): scores = isSecond ? [0, votes[1]] : [votes[0] + baseValues[0]]
        default: scores = isSecond ? votes : [votes[0]]
        }
        // Of leaves that vote for one class alone, the score is that of the second class.
        let score = scores.count == 2 && (isSecond || width == 1) ? scores[1] : scores[0]
        guard isOneSided else { return (score > 0 ? .positive : .negative, transform.applied(to: scores)) }
        let chosen = ChosenClass.label(score > (isPositive ? 0.5 : 0) ? 1 : 0)
        return (chosen, transform.applied(to: scores, second: isPositive ? .complement : .negated))
    }

    /// The first of the classes with the most votes.
    private func decideAmongAll(_ votes: [Double], _ isScored: [Bool]) -> (chosen: ChosenClass, scores: [Double]) {
        var (scores, isScored) = (votes, isScored)
        for index in scores.indices where index < baseValues.count {
            scores[index] += baseValues[index]
            isScored[index] = true
        }
        var best: Int?
        for index in scores.indices where isScored[index] && scores[index] > best.map({ scores[$0] }) ?? -.infinity {
            best = index
        }
        return (.label(best ?? 0), transform.applied(to: scores))
    }
}

/// The registry entries of trees.
enum TreeEnsembleOperators {
    static let definitions: [OperatorDefinition] =
        [1, 3, 5].flatMap { version in
            [
                OperatorDefinition(traditionalML: "TreeEnsembleRegressor", since: version, decode: regressor),
                OperatorDefinition(traditionalML: "TreeEnsembleClassifier", since: version, decode: classifier),
            ]
        } + [OperatorDefinition(traditionalML: "TreeEnsemble", since: 5, decode: ensemble)]

    @Sendable private static func regressor(_ decoder: inout NodeDecoder) throws -> any Operator {
        try decoder.requireInputs(1...1)
        let targets = try targets(decoder.int("n_targets", default: 1))
        let name = try decoder.string("aggregate_function", default: "SUM")
        guard let aggregation = TreeAggregation(rawValue: name) else {
            throw TensorError("attribute aggregate_function should be AVERAGE, SUM, MIN or MAX, found \"\(name)\"")
        }
        let base = try baseValues(&decoder, atMost: targets)
        let trees = try DecisionTrees(&decoder, votes: "target", targets: targets)
        return TreeEnsembleRegressor(
            ensemble: TreeEnsemble(trees: trees, targets: targets, aggregation: aggregation), baseValues: base,
            transform: try PostTransform(&decoder), keepsType: false)
    }

    @Sendable private static func classifier(_ decoder: inout NodeDecoder) throws -> any Operator {
        try decoder.requireInputs(1...1)
        let labels = try decoder.classLabels(strings: "classlabels_strings", integers: "classlabels_int64s")
        let base = try baseValues(&decoder, atMost: max(labels.count, 2))
        let trees = try DecisionTrees(&decoder, votes: "class", targets: try targets(labels.count))
        let voted = Set(trees.votes.map(\.target))
        return TreeEnsembleClassifier(
            ensemble: TreeEnsemble(trees: trees, targets: labels.count), baseValues: base,
            transform: try PostTransform(&decoder), labels: labels, isOneSided: labels.count == 2 && voted.count == 1,
            isPositive: trees.votes.allSatisfy { $0.weight >= 0 })
    }

    @Sendable private static func ensemble(_ decoder: inout NodeDecoder) throws -> any Operator {
        try decoder.requireInputs(1...1)
        let stated = try decoder.optionalInt("n_targets").map(targets)
        let trees = try DecisionTrees(ensemble: &decoder, targets: stated)
        let aggregations: [TreeAggregation] = [.average, .sum, .least, .most]
        let aggregation = try decoder.int("aggregate_function", default: 1)
        guard aggregations.indices.contains(aggregation) else {
            throw TensorError("attribute aggregate_function should be 0 to 3, found \(aggregation)")
        }
        let transforms: [PostTransform] = [.none, .softmax, .logistic, .softmaxZero, .probit]
        let transform = try decoder.int("post_transform", default: 0)
        guard transforms.indices.contains(transform) else {
            throw TensorError("attribute post_transform should be 0 to 4, found \(transform)")
        }
        let targets = stated ?? (trees.votes.map(\.target).max() ?? 0) + 1
        return TreeEnsembleRegressor(
            ensemble: TreeEnsemble(trees: trees, targets: targets, aggregation: aggregations[aggregation]), baseValues: [],
            transform: transforms[transform], keepsType: true)
    }

    private static func targets(_ count: Int) throws(TensorError) -> Int {
        guard (1...DecisionTrees.mostTargets).contains(count) else {
            throw TensorError("trees vote for \(count) targets, expected 1 to \(DecisionTrees.mostTargets)")
        }
        return count
    }

    private static func baseValues(_ decoder: inout NodeDecoder, atMost count: Int) throws -> [Double] {
        let values = try decoder.numbers("base_values") ?? []
        guard values.count <= count else {
            throw TensorError("attribute base_values has \(values.count) elements, expected at most \(count)")
        }
        return values
    }
}
