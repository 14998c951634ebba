import GraphRuntime

/// Which place of the input a place of the output shows (ONNX Resize, coordinate_transformation_mode).
enum CoordinateMode: String {
    case halfPixel = "half_pixel"
    case halfPixelSymmetric = "half_pixel_symmetric"
    case pytorchHalfPixel = "pytorch_half_pixel"
    case alignCorners = "align_corners"
    case asymmetric
    case cropAndResize = "tf_crop_and_resize"
    /// Opset 11 only.
    case halfPixelForNearest = "tf_half_pixel_for_nn"
}

/// How a coordinate becomes an index (ONNX Resize, nearest_mode).
enum NearestMode: String {
    case roundPreferFloor = "round_prefer_floor"
    case roundPreferCeil = "round_prefer_ceil"
    case floor
    case ceil
    /// Upwards where the axis shrinks, downwards where it grows: what opset 10 did.
    case simple

    func index(_ coordinate: Float, scale: Float) -> Float {
        switch self {
        // Compared and not added to, which would round what is just below a tie.
        case .roundPreferFloor:
            coordinate - coordinate.rounded(.down) == 0.5 ? coordinate.rounded(.down) : coordinate.rounded()
        case .roundPreferCeil: coordinate.rounded()
        case .floor: coordinate.rounded(.down)
        case .ceil: coordinate.rounded(.up)
        case .simple: scale < 1 ? coordinate.rounded(.up) : coordinate.rounded(.down)
        }
    }

    /// The index for the coordinate numerator / denominator, exactly.
    ///
    /// - Parameters:
    ///   - denominator: 1 or more.
    ///   - shrinks: whether the output has fewer elements than the input.
    func index(_ numerator: Int, over denominator: Int, shrinks: Bool) -> Int {
        switch self {
        case .roundPreferFloor: -(denominator - 2 * numerator).dividedDown(by: 2 * denominator)
        case .roundPreferCeil: (2 * numerator + denominator).dividedDown(by: 2 * denominator)
        case .floor: numerator.dividedDown(by: denominator)
        case .ceil: -(-numerator).dividedDown(by: denominator)
        case .simple:
            shrinks ? -(-numerator).dividedDown(by: denominator) : numerator.dividedDown(by: denominator)
        }
    }
}

/// One axis of a resize.
struct ResizeAxis {
    var input: Int
    var output: Int
    /// Output over input; exact for scales that were given, and the quotient of the extents otherwise.
    var scale: Float
    /// The scale as a fraction, where it follows from extents that were given: nearest neighbours then follow in integers, since a
    /// rounded quotient decides ties by chance.
    var ratio: (output: Int, input: Int)?
    /// The output's extent before it was rounded, where a scale was given: what published cases of align_corners count with.
    var length: Float?
    /// The part of the axis that is shown, 0...1, for ``CoordinateMode/cropAndResize``.
    var region: (start: Float, end: Float) = (0, 1)

    /// The place in the input that an index of the output shows, in single precision as other runtimes compute it.
    func coordinate(_ index: Int, _ mode: CoordinateMode) -> Float {
        let x = Float(index)
        switch mode {
        case .halfPixel: return (x + 0.5) / scale - 0.5
        case .halfPixelSymmetric:
            let adjustment = Float(output) / (scale * Float(input))
            return Float(input) / 2 * (1 - adjustment) + (x + 0.5) / scale - 0.5
        case .pytorchHalfPixel: return output > 1 ? (x + 0.5) / scale - 0.5 : 0
        case .alignCorners: return output > 1 ? x * Float(input - 1) / ((length ?? Float(output)) - 1) : 0
        case .asymmetric: return x / scale
        case .halfPixelForNearest: return (x + 0.5) / scale
        case .cropAndResize:
            let last = Float(input - 1)
            guard output > 1 else { return 0.5 * (region.start + region.end) * last }
            return region.start * last + x * (region.end - region.start) * last / Float(output - 1)
        }
    }

    /// Whether every place shows its own element.
    func isIdentity(_ mode: CoordinateMode) -> Bool {
        input == output && scale == 1 && mode != .cropAndResize && mode != .halfPixelForNearest
    }

    /// As ``nearestIndices(_:_:)``, in integers; nil where the scale is no fraction of extents, or a region is shown.
    private func exactIndices(_ mode: CoordinateMode, _ nearest: NearestMode) -> [Int]? {
        // So that products of two extents and small factors fit.
        guard let ratio, [input, output, ratio.input, ratio.output].allSatisfy({ (1..<1 << 29).contains($0) }) else {
            return nil
        }
        var indices: [Int] = []
        indices.reserveCapacity(output)
        for x in 0..<output {
            let (numerator, denominator): (Int, Int)
            switch mode {
            case .halfPixel: (numerator, denominator) = ((2 * x + 1) * ratio.input - ratio.output, 2 * ratio.output)
            case .halfPixelSymmetric:
                let shift = input * ratio.output - output * ratio.input
                (numerator, denominator) = (shift + (2 * x + 1) * ratio.input - ratio.output, 2 * ratio.output)
            case .pytorchHalfPixel:
                (numerator, denominator) =
                    output > 1 ? ((2 * x + 1) * ratio.input - ratio.output, 2 * ratio.output) : (0, 1)
            case .alignCorners: (numerator, denominator) = output > 1 ? (x * (input - 1), output - 1) : (0, 1)
            case .asymmetric: (numerator, denominator) = (x * ratio.input, ratio.output)
            case .halfPixelForNearest: (numerator, denominator) = ((2 * x + 1) * ratio.input, 2 * ratio.output)
            case .cropAndResize: return nil
            }
            let index = nearest.index(numerator, over: denominator, shrinks: ratio.output < ratio.input)
            indices.append(min(max(index, 0), input - 1))
        }
        return indices
    }

    /// For each index of the output the index of the input, -1 where that lies outside of a cropped region.
    func nearestIndices(_ mode: CoordinateMode, _ nearest: NearestMode) -> [Int] {
        if isIdentity(mode) { return Array(0..<input) }
        if let exact = exactIndices(mode, nearest) { return exact }
        let last = Float(input - 1)
        return (0..<output).map { index in
            let place = coordinate(index, mode)
            if mode == .cropAndResize && !(place >= 0 && place <= last) { return -1 }
            let rounded = nearest.index(place, scale: scale)
            // A NaN, from a scale that is none, shows the first element.
            return rounded > 0 ? min(Int(min(rounded, last)), input - 1) : 0
        }
    }
}

extension Int {
    /// The quotient by a positive number, rounded down.
    fileprivate func dividedDown(by divisor: Int) -> Int {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }
}

/// For each index of an output axis the elements of the input that it is a weighted sum of.
struct ResizeWeights {
    /// How many elements each output takes.
    var taps = 0
    /// `taps` for each index of the output.
    var indices: [Int] = []
    var weights: [Float] = []
    /// Outputs that show a place outside of the input and get a constant.
    var outside: [Bool] = []
}

/// How ``Resize`` weighs neighbours.
struct ResizeFilter {
    var isCubic: Bool
    /// Keys' parameter, "Cubic Convolution Interpolation for Digital Image Processing" (1981), equation 15.
    var a: Float
    var excludesOutside: Bool
    /// Whether the filter is as wide as the input that an output element stands for, where an axis shrinks.
    var isAntialiased: Bool

    func weights(of axis: ResizeAxis, _ mode: CoordinateMode) -> ResizeWeights {
        let shrink = isAntialiased && axis.scale > 0 ? min(axis.scale, 1) : 1
        // Taps from `first` to 1 - first around the element to the left; an axis is never wider than it is.
        let reach = min((Float(isCubic ? 2 : 1) / shrink).rounded(.up), Float(axis.input + 2))
        let first = 1 - Int(reach)
        var result = ResizeWeights()
        result.taps = 2 - 2 * first
        let last = Float(axis.input - 1)
        for index in 0..<axis.output {
            var place = axis.coordinate(index, mode)
            result.outside.append(mode == .cropAndResize && !(place >= 0 && place <= last))
            // Far outside all is alike; a NaN shows the first element.
            place = place > -4 ? min(place, last + 4) : (place.isNaN ? 0 : -4)
            if !isCubic && !isAntialiased { place = max(0, min(place, last)) }
            // An element that is hit exactly is the right one of its pair.
            let left = place.rounded(.up) - 1
            append(&result, left: Int(left), ratio: place - left, first: first, shrink: shrink, extent: axis.input)
        }
        return result
    }

    private func append(_ result: inout ResizeWeights, left: Int, ratio: Float, first: Int, shrink: Float, extent: Int) {
        var sum: Float = 0
        let start = result.weights.count
        for tap in 0..<result.taps {
            let index = left + first + tap
            var weight = isCubic ? cubic((Float(first + tap) - ratio) * shrink) : linear((Float(first + tap) - ratio) * shrink)
            if excludesOutside && (index < 0 || index >= extent) { weight = 0 }
            result.indices.append(min(max(index, 0), extent - 1))
            result.weights.append(weight)
            sum += weight
        }
        guard isAntialiased || excludesOutside, sum != 0 else { return }
        for index in start..<result.weights.count { result.weights[index] /= sum }
    }

    private func linear(_ x: Float) -> Float { max(1 - abs(x), 0) }

    private func cubic(_ x: Float) -> Float {
        let x = abs(x)
        if x <= 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
        return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0
    }
}
