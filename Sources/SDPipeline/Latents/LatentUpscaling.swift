/// How latents are made larger, without a network: PyTorch's `interpolate` with corners not aligned, and a size in the place of factors.
public enum LatentUpscaling: String, Sendable, CaseIterable {
    /// Linear in both directions.
    case bilinear = "latent"
    /// Linear, over what a value covers where latents become smaller.
    case bilinearAntialiased = "latent-antialiased"
    /// Keys' cubic convolution with a = −0.75.
    case bicubic = "latent-bicubic"
    /// Keys' cubic convolution with a = −0.5, over what a value covers where latents become smaller.
    case bicubicAntialiased = "latent-bicubic-antialiased"
    /// The value at the place that the upper left corner falls on.
    case nearest = "latent-nearest"
    /// The value at the place that the middle falls on.
    case nearestExact = "latent-nearest-exact"

    /// What AUTOMATIC1111's web interface calls it.
    public var webUIName: String {
        switch self {
        case .bilinear: "Latent"
        case .bilinearAntialiased: "Latent (antialiased)"
        case .bicubic: "Latent (bicubic)"
        case .bicubicAntialiased: "Latent (bicubic antialiased)"
        case .nearest: "Latent (nearest)"
        case .nearestExact: "Latent (nearest-exact)"
        }
    }

    /// What one value of a line is made of.
    private struct Window {
        let places: [Int]
        let weights: [Double]
    }

    /// Latents of another size.
    ///
    /// - Parameters:
    ///   - latents: of any number of pictures.
    ///   - width: of the result, 1 or more.
    ///   - height: of the result, 1 or more.
    /// - Throws: ``PipelineError`` for another size.
    public func resized(_ latents: Latents, width: Int, height: Int) throws(PipelineError) -> Latents {
        guard width > 0, height > 0, width <= PictureSizes.largest, height <= PictureSizes.largest else {
            throw PipelineError(
                "Latents can't become \(width)×\(height), expected 1 to \(PictureSizes.largest) columns and rows.")
        }
        let columns = windows(from: latents.width, to: width)
        let rows = windows(from: latents.height, to: height)
        let (oldWidth, oldSize) = (latents.width, latents.width * latents.height)
        let planes = latents.pictureCount * latents.channels
        var values: [Float] = []
        values.reserveCapacity(planes * width * height)
        for plane in 0..<planes {
            var wide = [Double](repeating: 0, count: latents.height * width)
            for row in 0..<latents.height {
                let start = plane * oldSize + row * oldWidth
                for (column, window) in columns.enumerated() {
                    wide[row * width + column] = zip(window.places, window.weights).reduce(0) {
                        $0 + $1.1 * Double(latents.values[start + $1.0])
                    }
                }
            }
            for window in rows {
                for column in 0..<width {
                    values.append(
                        Float(zip(window.places, window.weights).reduce(0) { $0 + $1.1 * wide[$1.0 * width + column] }))
                }
            }
        }
        return Latents(checked: values, shape: [latents.pictureCount, latents.channels, height, width])
    }

    private func windows(from count: Int, to newCount: Int) -> [Window] {
        let scale = Double(count) / Double(newCount)
        return (0..<newCount).map { index in
            let middle = (Double(index) + 0.5) * scale
            switch self {
            case .nearest: return Window(places: [min(Int(Double(index) * scale), count - 1)], weights: [1])
            case .nearestExact: return Window(places: [min(Int(middle), count - 1)], weights: [1])
            case .bilinear:
                let place = max(middle - 0.5, 0)
                let (first, share) = (min(Int(place), count - 1), place - Double(Int(place)))
                return Window(places: [first, min(first + 1, count - 1)], weights: [1 - share, share])
            case .bicubic:
                let place = middle - 0.5
                let first = place.rounded(.down)
                let taps = (-1...2).map { (Int(first) + $0, Self.cubic(place - first - Double($0), a: -0.75)) }
                return Window(places: taps.map { min(max($0.0, 0), count - 1) }, weights: taps.map(\.1))
            case .bilinearAntialiased: return Self.covering(middle, scale, count, reach: 1) { max(1 - abs($0), 0) }
            case .bicubicAntialiased: return Self.covering(middle, scale, count, reach: 2) { Self.cubic($0, a: -0.5) }
            }
        }
    }

    /// Weights of all places in a filter's reach, whose sum is 1.
    private static func covering(
        _ middle: Double, _ scale: Double, _ count: Int, reach: Double, filter: (Double) -> Double
    ) -> Window {
        let stretch = max(scale, 1)
        let start = max(Int(middle - reach * stretch + 0.5), 0)
        let end = min(Int(middle + reach * stretch + 0.5), count)
        let weights = (start..<end).map { filter((Double($0) - middle + 0.5) / stretch) }
        let sum = weights.reduce(0, +)
        return Window(places: Array(start..<end), weights: weights.map { $0 / sum })
    }

    private static func cubic(_ distance: Double, a: Double) -> Double {
        let x = abs(distance)
        if x <= 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
        return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0
    }
}
