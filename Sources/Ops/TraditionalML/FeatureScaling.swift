import GraphRuntime

/// Scaler (ai.onnx.ml, 1): (x - offset) · scale, in single precision.
struct Scaler: Operator {
    /// One for each feature, or one for all.
    let offset: [Double]
    let scale: [Double]

    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let x = try inputs[0]
        if let shape = x.shape { _ = try FeatureMatrix.extents(shape) }
        return [Fact(dtype: .float32, shape: x.shape)]
    }

    func run(_ context: inout RunContext) throws {
        let x = try FeatureMatrix(context.input(0))
        for (name, values) in [("offset", offset), ("scale", scale)] where values.count != 1 && values.count != x.features {
            throw TensorError("attribute \(name) has \(values.count) elements, expected 1 or \(x.features)")
        }
        guard x.features > 0 else { return }
        try context.output(0).forEachSlice(
            of: Float.self, unit: x.features, grain: max(1, 4096 / x.features), threads: context.threads
        ) { rows, y in
            var place = 0
            for row in rows {
                for feature in 0..<x.features {
                    let shift = offset.count == 1 ? offset[0] : offset[feature]
                    let factor = scale.count == 1 ? scale[0] : scale[feature]
                    y[place] = Float((x[row, feature] - shift) * factor)
                    place += 1
                }
            }
        }
    }
}

/// Normalizer (ai.onnx.ml, 1): each row divided by its largest element, by the sum of its magnitudes or by its length.
struct Normalizer: Operator {
    enum Norm: String, Sendable { case most = "MAX", sum = "L1", length = "L2" }

    let norm: Norm

    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let x = try inputs[0]
        if let shape = x.shape { _ = try FeatureMatrix.extents(shape) }
        return [Fact(dtype: .float32, shape: x.shape)]
    }

    func run(_ context: inout RunContext) throws {
        let x = try FeatureMatrix(context.input(0))
        guard x.features > 0 else { return }
        try context.output(0).forEachSlice(
            of: Float.self, unit: x.features, grain: max(1, 4096 / x.features), threads: context.threads
        ) { rows, y in
            var place = 0
            for row in rows {
                let divisor = divisor(row, x)
                for feature in 0..<x.features {
                    y[place] = Float(divisor == 0 ? x[row, feature] : x[row, feature] / divisor)
                    place += 1
                }
            }
        }
    }

    private func divisor(_ row: Int, _ x: FeatureMatrix) -> Double {
        let features = 0..<x.features
        return switch norm {
        case .most: features.reduce(-.infinity) { max($0, x[row, $1]) }
        case .sum: features.reduce(0) { $0 + abs(x[row, $1]) }
        case .length: features.reduce(0) { $0 + x[row, $1] * x[row, $1] }.squareRoot()
        }
    }
}

/// Binarizer (ai.onnx.ml, 1): 1 above a threshold, 0 elsewhere, in the type of the input.
struct Binarizer: Operator {
    let threshold: Double

    var floatingPointTypes: Set<DType>? { DType.wideFloats }
    var outputStorage: OutputStorage { .mayReplace(inputs: [0]) }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [try inputs[0].withoutValue] }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        try x.dtype.dispatch(Visitor(threshold: threshold, x: x, y: context.output(0)))
    }

    private struct Visitor: NumericVisitor {
        let threshold: Double
        let x: Tensor
        let y: MutableTensor

        func visit<Element: NumericElement>(_: Element.Type) throws {
            let x = try x.view(of: Element.self)
            try y.withMutableSpan(of: Element.self) { y in
                for index in 0..<x.count { y[index] = x[index].double > threshold ? Element.one : Element.zero }
            }
        }
    }
}

/// Imputer (ai.onnx.ml, 1): what stands for a missing number replaced, by a value for each feature or one for all.
struct Imputer: Operator {
    let floats: [Float]?
    let replacedFloat: Float
    let integers: [Int]?
    let replacedInteger: Int

    var floatingPointTypes: Set<DType>? { DType.wideFloats }

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        let x = try inputs[0]
        if let shape = x.shape { _ = try FeatureMatrix.extents(shape) }
        return [x.withoutValue]
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        let features = try FeatureMatrix.extents(x.shape).features
        let y = try context.output(0)
        switch x.dtype {
        case .float32: try replace(x, y, features, replacedFloat, floats)
        case .float64: try replace(x, y, features, Double(replacedFloat), floats?.map { Double($0) })
        case .int64: try replace(x, y, features, Int64(replacedInteger), integers?.map { Int64($0) })
        case .int32:
            try replace(
                x, y, features, Int32(truncatingIfNeeded: replacedInteger), integers?.map { Int32(truncatingIfNeeded: $0) })
        default: throw TensorError("expected float32, float64, int32 or int64, found \(x.dtype)")
        }
    }

    private func replace<Element: TensorElement & Equatable>(
        _ x: Tensor, _ y: MutableTensor, _ features: Int, _ replaced: Element, _ values: [Element]?
    ) throws {
        guard let values else {
            throw TensorError("the values to impute aren't of the type of the features, \(x.dtype)")
        }
        guard values.count == 1 || values.count == features else {
            throw TensorError("\(values.count) values to impute don't fit \(features) features")
        }
        let x = try x.view(of: Element.self)
        // A NaN isn't equal to itself.
        let isNaN = replaced != replaced
        try y.withMutableSpan(of: Element.self) { y in
            for index in 0..<x.count {
                let isMissing = x[index] == replaced || (isNaN && x[index] != x[index])
                y[index] = isMissing ? values[values.count == 1 ? 0 : index % features] : x[index]
            }
        }
    }
}

/// The registry entries of what changes features one by one or row by row.
enum FeatureScaling {
    static let definitions = [
        OperatorDefinition(traditionalML: "Scaler") { decoder in
            try decoder.requireInputs(1...1)
            let offset = try decoder.optionalFloats("offset") ?? []
            let scale = try decoder.optionalFloats("scale") ?? []
            return Scaler(
                offset: offset.isEmpty ? [0] : offset.map { Double($0) }, scale: scale.isEmpty ? [1] : scale.map { Double($0) })
        },
        OperatorDefinition(traditionalML: "Normalizer") { decoder in
            try decoder.requireInputs(1...1)
            let name = try decoder.string("norm", default: "MAX")
            guard let norm = Normalizer.Norm(rawValue: name) else {
                throw TensorError("attribute norm should be MAX, L1 or L2, found \"\(name)\"")
            }
            return Normalizer(norm: norm)
        },
        OperatorDefinition(traditionalML: "Binarizer") { decoder in
            try decoder.requireInputs(1...1)
            return Binarizer(threshold: Double(try decoder.float("threshold", default: 0)))
        },
        OperatorDefinition(traditionalML: "Imputer") { decoder in
            try decoder.requireInputs(1...1)
            let floats = try decoder.optionalFloats("imputed_value_floats") ?? []
            let integers = try decoder.optionalInts("imputed_value_int64s") ?? []
            guard floats.isEmpty != integers.isEmpty else {
                throw TensorError("expected one of the attributes imputed_value_floats and imputed_value_int64s")
            }
            return Imputer(
                floats: floats.isEmpty ? nil : floats, replacedFloat: try decoder.float("replaced_value_float", default: 0),
                integers: integers.isEmpty ? nil : integers,
                replacedInteger: try decoder.int("replaced_value_int64", default: 0))
        },
    ]
}
