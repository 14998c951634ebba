import GraphRuntime

/// Minimal filtering with products of bfloat16, as Lavin and Gray state it (Fast Algorithms for Convolutional Neural Networks, 2016,
/// section 4): Y = Aᵀ [(G g Gᵀ) ∘ (Bᵀ d B)] A, one tile after the other. Transforms and sums are of double precision.
struct PairedFiltering {
    /// Whether kernels are rounded before their transform as well.
    private let roundsKernelsFirst: Bool
    /// Those of interpolation, beside ∞.
    private let points: [Double]

    /// F(4×4, 3×3) with the points 0, ±5/8, ±3/2 and ∞.
    static func tilesOf4(roundsKernelsFirst: Bool) -> PairedFiltering {
        PairedFiltering(roundsKernelsFirst: roundsKernelsFirst, points: [0, 0.625, -0.625, 1.5, -1.5])
    }

    /// F(2×2, 3×3) with the points 0, ±1 and ∞.
    static let tilesOf2 = PairedFiltering(roundsKernelsFirst: false, points: [0, 1, -1])

    /// Pixels along a side of a tile of the input, and of the output.
    private var inputSide: Int { points.count + 1 }
    private var outputSide: Int { points.count - 1 }

    /// Products of (x - point) for all points but one, from the constant on.
    private func polynomial(without skipped: Int?) -> [Double] {
        points.enumerated().filter { $0.offset != skipped }.reduce([1]) { product, point in
            var result = [0] + product
            for (index, factor) in product.enumerated() { result[index] -= point.element * factor }
            return result
        }
    }

    /// [input side][input side]
    private var input: [[Double]] { points.indices.map { polynomial(without: $0) + [0] } + [polynomial(without: nil)] }

    /// [input side][3]
    private var kernel: [[Double]] {
        points.map { point in
            let divisor = points.filter { $0 != point }.reduce(1) { $0 * (point - $1) }
            return [1 / divisor, point / divisor, point * point / divisor]
        } + [[0, 0, 1]]
    }

    /// [output side][input side]
    private var output: [[Double]] {
        (0..<outputSide).map { power in
            points.map { point in (0..<power).reduce(1) { product, _ in product * point } } + [power == outputSide - 1 ? 1 : 0]
        }
    }

    /// matrix · values · matrixᵀ, with values of [columns][columns].
    private static func transform(_ values: [Double], by matrix: [[Double]]) -> [Double] {
        let (rows, columns) = (matrix.count, matrix[0].count)
        var half = [Double](repeating: 0, count: rows * columns)
        for row in 0..<rows {
            for column in 0..<columns {
                for k in 0..<columns { half[row * columns + column] += matrix[row][k] * values[k * columns + column] }
            }
        }
        var result = [Double](repeating: 0, count: rows * rows)
        for row in 0..<rows {
            for column in 0..<rows {
                for k in 0..<columns { result[row * rows + column] += half[row * columns + k] * matrix[column][k] }
            }
        }
        return result
    }

    private static func rounded(_ value: Double) -> Double {
        let bits = Float(value).bitPattern
        return Double(Float(bitPattern: (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000))
    }

    /// The convolution of input [N, C, H, W] with weights [M, C, 3, 3] and bias [M], padded by one on each side.
    func convolve(_ tensors: [Tensor]) throws -> [Float] {
        let (shape, outputs) = (tensors[0].shape.dimensions, tensors[1].shape[0])
        let (batch, channels, height, width) = (shape[0], shape[1], shape[2], shape[3])
        let pixels = try tensors[0].array(of: Float.self)
        let weights = try tensors[1].array(of: Float.self)
        let bias = try tensors[2].array(of: Float.self)
        let positions = inputSide * inputSide
        let (input, kernel, output) = (self.input, self.kernel, self.output)
        // [position][output][channel]
        var kernels = [Double](repeating: 0, count: positions * outputs * channels)
        for index in 0..<outputs * channels {
            let numbers = weights[9 * index..<9 * index + 9].map { roundsKernelsFirst ? Self.rounded(Double($0)) : Double($0) }
            for (position, value) in Self.transform(numbers, by: kernel).enumerated() {
                kernels[position * outputs * channels + index] = Self.rounded(value)
            }
        }
        var result = [Float](repeating: 0, count: batch * outputs * height * width)
        for picture in 0..<batch {
            for top in stride(from: 0, to: height, by: outputSide) {
                for left in stride(from: 0, to: width, by: outputSide) {
                    // [position][channel]
                    var tile = [Double](repeating: 0, count: positions * channels)
                    for channel in 0..<channels {
                        let values = (0..<positions).map { place in
                            let (row, column) = (top + place / inputSide - 1, left + place % inputSide - 1)
                            guard row >= 0, row < height, column >= 0, column < width else { return 0.0 }
                            return Double(pixels[((picture * channels + channel) * height + row) * width + column])
                        }
                        for (position, value) in Self.transform(values, by: input).enumerated() {
                            tile[position * channels + channel] = Self.rounded(value)
                        }
                    }
                    for filter in 0..<outputs {
                        let sums = (0..<positions).map { position in
                            var sum = 0.0
                            for channel in 0..<channels {
                                sum +=
                                    kernels[(position * outputs + filter) * channels + channel]
                                    * tile[position * channels + channel]
                            }
                            return sum
                        }
                        for (place, value) in Self.transform(sums, by: output).enumerated() {
                            let (row, column) = (top + place / outputSide, left + place % outputSide)
                            guard row < height, column < width else { continue }
                            result[((picture * outputs + filter) * height + row) * width + column] = Float(value) + bias[filter]
                        }
                    }
                }
            }
        }
        return result
    }
}

/// The root mean square of two arrays' differences over that of the second.
func relativeDeviation(_ found: [Float], _ expected: [Float]) -> Double {
    let (difference, size) = zip(found, expected).reduce((0.0, 0.0)) { sums, pair in
        let distance = Double(pair.0 - pair.1)
        return (sums.0 + distance * distance, sums.1 + Double(pair.1) * Double(pair.1))
    }
    return (difference / size).squareRoot()
}
