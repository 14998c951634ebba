/// Unicode's normalisation form C (UAX #15, sections 1.3 and 16), on scalars.
///
/// The decompositions come from a table of this project, not from the platform, so that the form is the same everywhere:
/// CoreFoundation's gives other scalars for some sequences of marks and Hangul letters.
enum CanonicalComposition {
    /// The text in normalisation form C of a Unicode version, for which younger characters neither move nor join.
    static func compose(_ text: [Unicode.Scalar], _ version: UnicodeVersion) -> [Unicode.Scalar] {
        // Nothing below U+0300 composes or has another canonical form.
        guard text.contains(where: { $0.value >= 0x300 }) else { return text }
        var scalars: [Unicode.Scalar] = []
        scalars.reserveCapacity(text.count)
        for scalar in text {
            appendDecomposition(of: scalar, version, to: &scalars)
        }
        var classes = scalars.map { combiningClass($0, version) }
        reorder(&scalars, &classes)
        return composed(scalars, classes, version)
    }

    private static func combiningClass(_ scalar: Unicode.Scalar, _ version: UnicodeVersion) -> UInt8 {
        guard scalar.value >= 0x300 else { return 0 }
        let value = scalar.properties.canonicalCombiningClass.rawValue
        return value == 0 || version.assigns(scalar) ? value : 0
    }

    private static func appendDecomposition(
        of scalar: Unicode.Scalar, _ version: UnicodeVersion, to output: inout [Unicode.Scalar]
    ) {
        guard scalar.value >= 0xc0 else { return output.append(scalar) }
        if let syllable = HangulSyllable(scalar) {
            output.append(contentsOf: syllable.letters)
        } else if let parts = CanonicalDecompositions.table.full[scalar], version.assigns(scalar) {
            output.append(contentsOf: parts)
        } else {
            output.append(scalar)
        }
    }

    /// Sorts each run of marks by combining class, keeping the order of equal ones (canonical ordering, D108 and D109).
    private static func reorder(_ scalars: inout [Unicode.Scalar], _ classes: inout [UInt8]) {
        var start = 0
        while start < scalars.count {
            guard classes[start] != 0 else {
                start += 1
                continue
            }
            var end = start + 1
            while end < scalars.count, classes[end] != 0 { end += 1 }
            let isSorted = zip(classes[start..<end], classes[start..<end].dropFirst()).allSatisfy { $0 <= $1 }
            if !isSorted {
                let order = (start..<end).sorted { (classes[$0], $0) < (classes[$1], $1) }
                let sorted = order.map { (scalars[$0], classes[$0]) }
                for (index, item) in zip(start..<end, sorted) {
                    (scalars[index], classes[index]) = item
                }
            }
            start = end
        }
    }

    /// Joins each mark or letter with the last starter where a primary composite exists and nothing blocks it (D117).
    private static func composed(
        _ scalars: [Unicode.Scalar], _ classes: [UInt8], _ version: UnicodeVersion
    ) -> [Unicode.Scalar] {
        var output: [Unicode.Scalar] = []
        output.reserveCapacity(scalars.count)
        var starter: Int?
        // The class of what was kept since the starter; nil while it is adjacent.
        var last: UInt8?
        for (scalar, combining) in zip(scalars, classes) {
            if let place = starter, last.map({ $0 < combining }) ?? true,
                let composite = composite(output[place], scalar), version.assigns(composite)
            {
                output[place] = composite
                continue
            }
            if combining == 0 {
                starter = output.count
                last = nil
            } else {
                last = combining
            }
            output.append(scalar)
        }
        return output
    }

    private static func composite(_ first: Unicode.Scalar, _ second: Unicode.Scalar) -> Unicode.Scalar? {
        if let syllable = HangulSyllable.joining(first, second) { return syllable }
        return CanonicalDecompositions.table.composites[UInt64(first.value) << 32 | UInt64(second.value)]
    }
}

/// A precomposed Hangul syllable, by the arithmetic of the Unicode Standard's section 3.12.
private struct HangulSyllable {
    private static let syllables: UInt32 = 0xac00
    private static let leads: UInt32 = 0x1100
    private static let vowels: UInt32 = 0x1161
    private static let tails: UInt32 = 0x11a7
    private static let leadCount: UInt32 = 19
    private static let vowelCount: UInt32 = 21
    private static let tailCount: UInt32 = 28

    private let index: UInt32

    init?(_ scalar: Unicode.Scalar) {
        guard scalar.value >= Self.syllables,
            scalar.value < Self.syllables + Self.leadCount * Self.vowelCount * Self.tailCount
        else { return nil }
        index = scalar.value - Self.syllables
    }

    var letters: [Unicode.Scalar] {
        let tail = index % Self.tailCount
        let values = [
            Self.leads + index / (Self.vowelCount * Self.tailCount),
            Self.vowels + index / Self.tailCount % Self.vowelCount,
            Self.tails + tail,
        ]
        return values.prefix(tail == 0 ? 2 : 3).compactMap(Unicode.Scalar.init)
    }

    static func joining(_ first: Unicode.Scalar, _ second: Unicode.Scalar) -> Unicode.Scalar? {
        if (leads..<leads + leadCount).contains(first.value), (vowels..<vowels + vowelCount).contains(second.value) {
            let pair = (first.value - leads) * vowelCount + (second.value - vowels)
            return Unicode.Scalar(syllables + pair * tailCount)
        }
        if let syllable = HangulSyllable(first), syllable.index % tailCount == 0,
            (tails + 1..<tails + tailCount).contains(second.value)
        {
            return Unicode.Scalar(first.value + second.value - tails)
        }
        return nil
    }
}
