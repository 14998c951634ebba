import GraphRuntime

/// TfIdfVectorizer-9: how often the n-grams of a pool occur in each row, as a vector.
struct TfIdfVectorizer: Operator {
    /// An element of a row: a text or a number.
    private enum Token: Hashable {
        /// UTF-8: a text in another normal form of Unicode is another text.
        case text([UInt8])
        case number(Int)
    }

    private enum Mode: String { case counts = "TF", weights = "IDF", products = "TFIDF" }

    private let lengths: ClosedRange<Int>
    /// Elements at most between two of an n-gram.
    private let mostSkipped: Int
    private let mode: Mode
    /// The place of an n-gram in the pool, by its elements.
    private let pool: [[Token]: Int]
    /// The column of each n-gram of the pool.
    private let columns: [Int]
    private let weights: [Float]
    private let width: Int

    func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] {
        guard let shape = try inputs[0].shape else { return [Fact(dtype: .float32)] }
        guard shape.rank == 1 || shape.rank == 2 else { throw TensorError("expected 1 or 2 axes, found shape \(shape)") }
        return [Fact(dtype: .float32, shape: try Shape(shape.dimensions.dropLast() + [width]))]
    }

    func run(_ context: inout RunContext) throws {
        let x = try context.input(0)
        let tokens =
            x.dtype == .string ? try x.texts().map { Token.text(Array($0.utf8)) } : try x.integers().map { Token.number($0) }
        let output = try context.output(0)
        let length = x.shape.dimensions.last ?? 0
        var result = [Float](repeating: 0, count: output.count)
        for row in 0..<output.count / max(width, 1) {
            for (entry, count) in counts(tokens[row * length..<(row + 1) * length]) {
                let place = row * width + columns[entry]
                switch mode {
                case .counts: result[place] = Float(count)
                case .weights: result[place] = weights[entry]
                case .products: result[place] = Float(count) * weights[entry]
                }
            }
        }
        try output.copy(from: Tensor(result, shape: output.shape))
    }

    /// How often each n-gram of the pool occurs.
    private func counts(_ row: ArraySlice<Token>) -> [Int: Int] {
        var result: [Int: Int] = [:]
        for step in 1...mostSkipped + 1 {
            for length in lengths where length > 1 || step == 1 {
                let (reach, overflow) = (length - 1).multipliedReportingOverflow(by: step)
                guard !overflow, reach < row.count else { continue }
                for start in row.startIndex..<row.endIndex - reach {
                    if let entry = pool[(0..<length).map { row[start + $0 * step] }] { result[entry, default: 0] += 1 }
                }
            }
            if step >= row.count { break }
        }
        return result
    }

    static let definition = OperatorDefinition("TfIdfVectorizer", since: 9) { try TfIdfVectorizer(&$0) }

    private init(_ decoder: inout NodeDecoder) throws {
        try decoder.requireInputs(1...1)
        let (least, most) = (try decoder.requiredInt("min_gram_length"), try decoder.requiredInt("max_gram_length"))
        mostSkipped = try decoder.requiredInt("max_skip_count")
        guard 1 <= least, least <= most, most <= 1 << 16, (0...1 << 32).contains(mostSkipped) else {
            throw TensorError("n-grams of \(least) to \(most) elements that skip \(mostSkipped) aren't possible")
        }
        lengths = least...most
        let name = try decoder.string("mode", default: "")
        guard let mode = Mode(rawValue: name) else {
            throw TensorError("attribute mode should be TF, IDF or TFIDF, found \"\(name)\"")
        }
        self.mode = mode
        let numbers = try decoder.optionalInts("pool_int64s")?.map { Token.number($0) }
        let texts = try decoder.optionalStrings("pool_strings")?.map { Token.text(Array($0.utf8)) }
        let elements = numbers ?? texts ?? []
        let columns = try decoder.optionalInts("ngram_indexes") ?? []
        guard columns.allSatisfy({ (0..<1 << 28).contains($0) }) else {
            throw TensorError("attribute ngram_indexes should be of 0 or more")
        }
        self.columns = columns
        width = (columns.max() ?? -1) + 1
        let starts = try decoder.optionalInts("ngram_counts") ?? []
        var pool: [[Token]: Int] = [:]
        var entry = 0
        for (index, start) in starts.enumerated() {
            let end = index + 1 < starts.count ? starts[index + 1] : elements.count
            guard start >= 0, start <= end, end <= elements.count, (end - start) % (index + 1) == 0 else {
                throw TensorError("attribute ngram_counts \(starts) doesn't divide a pool of \(elements.count) elements")
            }
            for place in stride(from: start, to: end, by: index + 1) {
                pool[Array(elements[place..<place + index + 1])] = entry
                entry += 1
            }
        }
        self.pool = pool
        let weights = try decoder.optionalFloats("weights") ?? [Float](repeating: 1, count: columns.count)
        guard entry == columns.count, weights.count == columns.count else {
            throw TensorError(
                "\(entry) n-grams, \(columns.count) ngram_indexes and \(weights.count) weights don't fit together")
        }
        self.weights = weights
    }
}
