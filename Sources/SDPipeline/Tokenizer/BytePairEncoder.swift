/// Byte-pair encoding (Sennrich et al. 2016) over byte symbols, the last of a word carrying an end mark.
struct BytePairEncoder: Sendable {
    /// The end mark of CLIP's vocabularies.
    static let endOfWord = "</w>"

    private struct Merge {
        let rank: UInt32
        let result: Int32
    }

    /// The text of each symbol; the vocabulary's tokens come first, then byte symbols that it lacks.
    private let symbols: [String]
    /// The id of each symbol, nil for those that the vocabulary lacks.
    private let ids: [Int?]
    private let byteSymbols: [Int32]
    private let finalByteSymbols: [Int32]
    private let merges: [UInt64: Merge]
    private let finishesPasses: Bool

    /// - Parameters:
    ///   - vocabulary: the id of every token.
    ///   - merges: pairs of tokens, the first to be merged first; of two equal pairs the later one counts.
    ///   - finishesPasses: whether all occurrences of a pair are merged before the pairs that this makes are looked at, as the
    ///     tokenizers in Python do and the tokenizers library does not. No matter where each token has one merge that makes it, as
    ///     in every vocabulary that training gives.
    /// - Throws: the number of a merge and the token in it that the vocabulary lacks.
    init(vocabulary: [String: Int], merges pairs: [(String, String)], finishesPasses: Bool) throws(UnknownToken) {
        var symbols: [String] = []
        var ids: [Int?] = []
        var index: [String: Int32] = [:]
        index.reserveCapacity(vocabulary.count + 512)
        for (token, id) in vocabulary {
            index[token] = Int32(symbols.count)
            symbols.append(token)
            ids.append(id)
        }

        func symbol(_ text: String) -> Int32 {
            if let known = index[text] { return known }
            let new = Int32(symbols.count)
            index[text] = new
            symbols.append(text)
            ids.append(nil)
            return new
        }
        byteSymbols = ByteAlphabet.scalars.map { symbol(String($0)) }
        finalByteSymbols = ByteAlphabet.scalars.map { symbol(String($0) + Self.endOfWord) }

        var merges: [UInt64: Merge] = [:]
        merges.reserveCapacity(pairs.count)
        for (rank, pair) in pairs.enumerated() {
            let tokens = [pair.0, pair.1, pair.0 + pair.1]
            for token in tokens where vocabulary[token] == nil {
                throw UnknownToken(merge: rank, token: token)
            }
            guard let first = index[tokens[0]], let second = index[tokens[1]], let result = index[tokens[2]] else { continue }
            merges[Self.key(first, second)] = Merge(rank: UInt32(truncatingIfNeeded: rank), result: result)
        }
        self.symbols = symbols
        self.ids = ids
        self.merges = merges
        self.finishesPasses = finishesPasses
    }

    struct UnknownToken: Error {
        let merge: Int
        let token: String
    }

    /// The token text and the id (nil if the vocabulary lacks it) of a symbol.
    func token(_ symbol: Int32) -> (text: String, id: Int?) {
        (symbols[Int(symbol)], ids[Int(symbol)])
    }

    /// The symbols of a piece of text after all merges.
    ///
    /// The occurrences of the pair of the lowest rank are merged from left to right, then the next pair is looked for. The
    /// pairs wait in a heap, ordered by rank and place, so that a piece of n bytes takes O(n log n) steps.
    func encode(_ bytes: [UInt8]) -> [Int32] {
        guard let last = bytes.last else { return [] }
        var word = LinkedWord(symbols: bytes.dropLast().map { byteSymbols[Int($0)] } + [finalByteSymbols[Int(last)]])
        var heap = MinHeap(word.symbols.indices.dropLast().compactMap { entry(at: $0, in: word) })
        var fresh: [UInt64] = []
        while let lowest = heap.first {
            let rank = lowest >> 32
            fresh.removeAll(keepingCapacity: true)
            while let next = heap.first, next >> 32 == rank {
                heap.removeFirst()
                let place = Int(next & 0xffff_ffff)
                guard let merge = merge(at: place, in: word), merge.rank == rank else { continue }
                word.mergeWithNext(place, into: merge.result)
                if let previous = word.previous(place), let entry = entry(at: previous, in: word) { fresh.append(entry) }
                if let entry = entry(at: place, in: word) { fresh.append(entry) }
                if !finishesPasses { break }
            }
            for entry in fresh { heap.insert(entry) }
        }
        return word.remaining
    }

    private static func key(_ first: Int32, _ second: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: first)) << 32 | UInt64(UInt32(bitPattern: second))
    }

    private func merge(at place: Int, in word: LinkedWord) -> Merge? {
        guard let pair = word.pair(at: place) else { return nil }
        return merges[Self.key(pair.0, pair.1)]
    }

    private func entry(at place: Int, in word: LinkedWord) -> UInt64? {
        merge(at: place, in: word).map { UInt64($0.rank) << 32 | UInt64(place) }
    }
}

/// The symbols of a word as a doubly linked list over their first places; a merge takes constant time.
private struct LinkedWord {
    private(set) var symbols: [Int32]
    private var nexts: [Int]
    private var previouses: [Int]
    private static let gone: Int32 = -1

    init(symbols: [Int32]) {
        self.symbols = symbols
        nexts = Array(1..<symbols.count + 1)
        previouses = Array(-1..<symbols.count - 1)
    }

    func previous(_ place: Int) -> Int? {
        previouses[place] >= 0 ? previouses[place] : nil
    }

    /// The symbol at a place and the one after it, nil if either is gone.
    func pair(at place: Int) -> (Int32, Int32)? {
        guard symbols[place] != Self.gone, nexts[place] < symbols.count else { return nil }
        return (symbols[place], symbols[nexts[place]])
    }

    mutating func mergeWithNext(_ place: Int, into symbol: Int32) {
        let next = nexts[place]
        symbols[place] = symbol
        symbols[next] = Self.gone
        nexts[place] = nexts[next]
        if nexts[next] < symbols.count { previouses[nexts[next]] = place }
    }

    var remaining: [Int32] { symbols.filter { $0 != Self.gone } }
}

/// A binary heap with the smallest element first.
private struct MinHeap {
    private var elements: [UInt64]

    init(_ elements: [UInt64]) {
        // A sorted array is a heap.
        self.elements = elements.sorted()
    }

    var first: UInt64? { elements.first }

    mutating func insert(_ element: UInt64) {
        elements.append(element)
        var child = elements.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard elements[child] < elements[parent] else { return }
            elements.swapAt(child, parent)
            child = parent
        }
    }

    mutating func removeFirst() {
        guard let last = elements.popLast(), !elements.isEmpty else { return }
        elements[0] = last
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < elements.count else { return }
            if child + 1 < elements.count, elements[child + 1] < elements[child] { child += 1 }
            guard elements[child] < elements[parent] else { return }
            elements.swapAt(child, parent)
            parent = child
        }
    }
}
