import GraphRuntime

/// Attention over tiles of queries and blocks of keys; never more than a tile of scores is in memory.
///
/// Within a tile the softmax is carried from block to block of keys: when a later block has a larger maximum, what was summed so
/// far is scaled down (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018, algorithm 3).
///
/// The pointers reach as far as extents and layouts say; ``scaledDotProductAttention(_:_:_:_:into:threads:)`` has checked that.
@unsafe
struct AttentionKernel<Element: AttentionElement>: @unchecked Sendable {
    let problem: AttentionProblem
    let query: UnsafePointer<Element>
    let key: UnsafePointer<Element>
    let value: UnsafePointer<Element>
    let output: UnsafeMutablePointer<Element>
    let mask: Mask
    /// Where the scores of all queries and keys go, [batch, heads, queries, keys], and at which stage.
    let scores: UnsafeMutablePointer<Element>?

    @unsafe
    enum Mask {
        case none
        case additive(UnsafePointer<Element>)
        case boolean(UnsafePointer<Bool>)
    }

    private var extents: AttentionExtents { unsafe problem.extents }

    /// Scores of a tile: half a megabyte of float32, half of a usual second-level cache.
    private static var tileElements: Int { 1 << 17 }

    func run(threads: ThreadPool) throws(TensorError) {
        // Those who ask for the scores get whole rows of them.
        let block = unsafe scores == nil ? min(extents.keys, 1024) : extents.keys
        let rows = unsafe min(max(Self.tileElements / max(block, 1), 8), 512, extents.queries)
        let heads = unsafe extents.batch * extents.heads
        // Few heads: enough tiles for every thread.
        let wanted = (2 * threads.threadCount + heads - 1) / heads
        let step = unsafe max(min(rows, (extents.queries + wanted - 1) / wanted), 1)
        let tiles = unsafe (extents.queries + step - 1) / step
        let bytes =
            unsafe (step * block + 64 + rowScratchCount) * MemoryLayout<Element>.stride
            + 2 * step * MemoryLayout<Double>.stride
        unsafe try threads.forEach(heads * tiles, scratchBytes: bytes) { index, scratch in
            let start = index % tiles * step
            let tile = unsafe Tile(
                kernel: self, batch: index / tiles / extents.heads, head: index / tiles % extents.heads,
                rows: start..<min(start + step, extents.queries), block: block,
                sums: scratch.assumingMemoryBound(to: Double.self),
                maxima: (scratch + step * MemoryLayout<Double>.stride).assumingMemoryBound(to: Element.self),
                scores: (scratch + 2 * step * MemoryLayout<Double>.stride).alignedUp(toMultipleOf: 64)
                    .assumingMemoryBound(to: Element.self))
            unsafe tile.run()
        }
    }

    /// Elements that ``writeOutUnlessFinite(batch:head:row:scratch:)`` needs.
    var rowScratchCount: Int { unsafe problem.isWrittenOut ? extents.width + extents.keys : 0 }

    /// Computes a row of the output again, if it should be as written out and has an element that isn't finite: there the sum was
    /// divided before it met the values, and weights are 0 that here are not.
    func writeOutUnlessFinite(batch: Int, head: Int, row: Int, scratch: UnsafeMutablePointer<Element>) {
        let output = unsafe output + problem.output.offset(batch: batch, head: head, row: row)
        let width = unsafe extents.valueWidth
        guard unsafe problem.isWrittenOut, unsafe extents.keys > 0,
            (0..<width).contains(where: { unsafe !output[$0].isFinite })
        else { return }
        let keyHead = unsafe head / (extents.heads / extents.keyHeads)
        let (scaled, scores) = unsafe (scratch, scratch + extents.width)
        let first = unsafe query + problem.query.offset(batch: batch, head: head, row: row)
        for index in unsafe 0..<extents.width { unsafe scaled[index] = unsafe first[index] * Element(problem.scale) }
        unsafe GEMM(
            transposeB: true, m: 1, n: extents.keys, k: extents.width, a: UnsafePointer(scaled), lda: max(extents.width, 1),
            b: key + problem.key.offset(batch: batch, head: keyHead, row: 0), ldb: max(problem.key.row, 1), c: scores,
            ldc: extents.keys
        ).run()
        unsafe Element.scale(scores, extents.keys, by: Element(problem.scoreScale))
        if case .additive(let mask) = unsafe mask {
            let start = unsafe mask + problem.mask.offset(batch: batch, head: head, row: row)
            unsafe Element.add(start, to: scores, extents.keys, shutsOut: false)
        }
        let sum = unsafe Element.exponentiate(scores, extents.keys, maximum: Element.maximum(scores, extents.keys))
        unsafe Element.scale(scores, extents.keys, by: Element(1 / sum))
        if unsafe problem.zeroesNaN {
            for key in unsafe 0..<extents.keys where unsafe scores[key].isNaN { unsafe scores[key] = 0 }
        }
        unsafe GEMM(
            m: 1, n: width, k: extents.keys, a: UnsafePointer(scores), lda: extents.keys,
            b: value + problem.value.offset(batch: batch, head: keyHead, row: 0), ldb: problem.value.row, c: output,
            ldc: problem.output.row
        ).run()
    }

    /// The queries `rows` of one head.
    @unsafe
    struct Tile {
        let kernel: AttentionKernel
        let batch: Int
        let head: Int
        let rows: Range<Int>
        let block: Int
        /// For each row Σ e^(score - maximum) of the keys so far.
        let sums: UnsafeMutablePointer<Double>
        /// For each row the largest score so far.
        let maxima: UnsafeMutablePointer<Element>
        /// [rows, block]
        let scores: UnsafeMutablePointer<Element>

        private var problem: AttentionProblem { unsafe kernel.problem }
        private var extents: AttentionExtents { unsafe problem.extents }

        func run() {
            let output = unsafe kernel.output + problem.output.offset(batch: batch, head: head, row: rows.lowerBound)
            for row in unsafe 0..<rows.count {
                unsafe sums[row] = 0
                unsafe maxima[row] = -.infinity
            }
            let keys = unsafe kernel.scores == nil ? reachableKeys() : 0..<extents.keys
            var isFirst = true
            for start in unsafe stride(from: keys.lowerBound, to: keys.upperBound, by: max(block, 1)) {
                let part = unsafe start..<min(start + block, keys.upperBound)
                unsafe multiplyQueries(part)
                for row in unsafe 0..<rows.count {
                    unsafe weigh(row, part, isFirst: isFirst, output: output + row * problem.output.row)
                }
                unsafe multiplyValues(part, isFirst: isFirst, output)
                isFirst = false
            }
            for row in unsafe 0..<rows.count {
                let target = unsafe output + row * problem.output.row
                if isFirst { for index in unsafe 0..<extents.valueWidth { unsafe target[index] = 0 } }
                // Where no key was attended to, the sum is 0 and so is the result; written out, only the sum over no keys at all is.
                let isEmpty = unsafe sums[row] == 0 && (isFirst || !problem.isWrittenOut)
                let factor = unsafe isEmpty ? 0 : sums[row] == 0 ? Element.nan : Element(1 / sums[row])
                unsafe Element.scale(target, extents.valueWidth, by: factor)
                unsafe kernel.writeOutUnlessFinite(
                    batch: batch, head: head, row: rows.lowerBound + row, scratch: scores + rows.count * max(block, 1))
                if unsafe problem.scoresStage == .probabilities, unsafe kernel.scores != nil {
                    unsafe Element.scale(scores + row * keys.count, keys.count, by: factor)
                    unsafe copyScores(row, .probabilities, keys.count)
                }
            }
        }

        /// The keys that any row of the tile may attend to.
        private func reachableKeys() -> Range<Int> {
            var lower = unsafe extents.keys
            var upper = 0
            for row in unsafe rows {
                let range = unsafe problem.allowedKeys(batch: batch, row: row)
                guard !range.isEmpty else { continue }
                lower = min(lower, range.lowerBound)
                upper = max(upper, range.upperBound)
            }
            return lower < upper ? lower..<upper : 0..<0
        }

        private func multiplyQueries(_ keys: Range<Int>) {
            let keyHead = unsafe head / (extents.heads / extents.keyHeads)
            unsafe GEMM(
                transposeB: true, m: rows.count, n: keys.count, k: extents.width,
                alpha: Element(problem.scale),
                a: kernel.query + problem.query.offset(batch: batch, head: head, row: rows.lowerBound),
                lda: max(problem.query.row, 1),
                b: kernel.key + problem.key.offset(batch: batch, head: keyHead, row: keys.lowerBound),
                ldb: max(problem.key.row, 1),
                c: scores, ldc: keys.count
            ).run()
        }

        private func multiplyValues(_ keys: Range<Int>, isFirst: Bool, _ output: UnsafeMutablePointer<Element>) {
            guard unsafe extents.valueWidth > 0 else { return }
            let keyHead = unsafe head / (extents.heads / extents.keyHeads)
            unsafe GEMM(
                m: rows.count, n: extents.valueWidth, k: keys.count, a: scores,
                lda: keys.count, b: kernel.value + problem.value.offset(batch: batch, head: keyHead, row: keys.lowerBound),
                ldb: problem.value.row, start: isFirst ? .zero : .target, c: output, ldc: problem.output.row
            ).run()
        }

        /// Turns a row of scores into e^(score - maximum), and the row of the output so far to the same maximum.
        private func weigh(_ row: Int, _ keys: Range<Int>, isFirst: Bool, output: UnsafeMutablePointer<Element>) {
            let values = unsafe scores + row * keys.count
            if unsafe problem.scoreScale != 1 {
                unsafe Element.scale(values, keys.count, by: Element(problem.scoreScale))
            }
            unsafe copyScores(row, .products, keys.count)
            if unsafe problem.softcap > 0 { unsafe Element.softcap(values, keys.count, Element(problem.softcap)) }
            unsafe copyScores(row, .capped, keys.count)
            unsafe applyMask(values, row: rows.lowerBound + row, keys)
            unsafe copyScores(row, .masked, keys.count)
            let maximum = unsafe max(maxima[row], Element.maximum(values, keys.count))
            // A row without any key yet: every difference from 0 is -∞, every exponential 0, and NaN stays one.
            let reference = maximum == -.infinity ? 0 : maximum
            if !isFirst, unsafe maximum > maxima[row] {
                let correction = unsafe Element.exponential(maxima[row] - reference)
                unsafe Element.scale(output, extents.valueWidth, by: correction)
                unsafe sums[row] *= Double(correction)
            }
            unsafe sums[row] += Element.exponentiate(values, keys.count, maximum: reference)
            unsafe maxima[row] = maximum
        }

        private func applyMask(_ values: UnsafeMutablePointer<Element>, row: Int, _ keys: Range<Int>) {
            let allowed = unsafe problem.allowedKeys(batch: batch, row: row).clamped(to: keys)
            let start = unsafe problem.mask.offset(batch: batch, head: head, row: row) + allowed.lowerBound
            let inside = unsafe values + (allowed.lowerBound - keys.lowerBound)
            switch unsafe kernel.mask {
            case .none: break
            case .additive(let mask):
                unsafe Element.add(mask + start, to: inside, allowed.count, shutsOut: !problem.isWrittenOut)
            case .boolean(let mask): unsafe Element.apply(mask + start, to: inside, allowed.count)
            }
            for key in keys.lowerBound..<allowed.lowerBound { unsafe values[key - keys.lowerBound] = -.infinity }
            for key in max(allowed.upperBound, keys.lowerBound)..<keys.upperBound {
                unsafe values[key - keys.lowerBound] = -.infinity
            }
        }

        private func copyScores(_ row: Int, _ stage: AttentionProblem.Stage, _ count: Int) {
            guard let target = unsafe kernel.scores, unsafe problem.scoresStage == stage else { return }
            let place = unsafe (batch * extents.heads + head) * extents.queries + rows.lowerBound + row
            unsafe (target + place * count).update(from: scores + row * count, count: count)
        }
    }
}
