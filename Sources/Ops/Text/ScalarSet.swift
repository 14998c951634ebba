/// A class of a regular expression.
struct ScalarSet: Sendable {
    enum Part: Sendable {
        case range(ClosedRange<UInt32>)
        /// The abbreviation of a general category, or the letter that those of a group begin with.
        case category(String)
        /// By the name that Unicode gives it.
        case script(String)
        case inverted(ScalarSet)
    }

    var parts: [Part] = []
    var isInverted = false
    /// Whether upper and lower case are the same.
    var foldsCase = false

    init(_ parts: [Part], isInverted: Bool = false, foldsCase: Bool = false) {
        (self.parts, self.isInverted, self.foldsCase) = (parts, isInverted, foldsCase)
    }

    init(_ scalar: Unicode.Scalar, foldsCase: Bool) {
        self.init(Self.range(scalar.value...scalar.value, foldsCase: foldsCase), foldsCase: foldsCase)
    }

    /// A range, and the upper cases of its scalars: ſ and s have the same one. Of very large ranges, the scalars themselves.
    static func range(_ range: ClosedRange<UInt32>, foldsCase: Bool) -> [Part] {
        guard foldsCase, range.count <= 1 << 12 else { return [.range(range)] }
        let uppers = range.compactMap { value -> UInt32? in
            guard let scalars = Unicode.Scalar(value)?.properties.uppercaseMapping.unicodeScalars, scalars.count == 1 else {
                return nil
            }
            return scalars.first?.value
        }
        return [.range(range)] + Set(uppers).filter { !range.contains($0) }.sorted().map { .range($0...$0) }
    }

    private init(ascii ranges: ClosedRange<Unicode.Scalar>...) {
        self.init(ranges.map { .range($0.lowerBound.value...$0.upperBound.value) })
    }

    static let any = ScalarSet([], isInverted: true)
    static let notNewline = ScalarSet([.range(10...10)], isInverted: true)
    static let digit = ScalarSet(ascii: "0"..."9")
    static let space = ScalarSet(ascii: "\t"..."\n", "\u{C}"..."\r", " "..." ")
    static let word = ScalarSet(ascii: "0"..."9", "A"..."Z", "_"..."_", "a"..."z")

    /// The classes that are written `[:name:]` within brackets.
    static let named: [String: ScalarSet] = [
        "alnum": ScalarSet(ascii: "0"..."9", "A"..."Z", "a"..."z"), "alpha": ScalarSet(ascii: "A"..."Z", "a"..."z"),
        "ascii": ScalarSet(ascii: "\0"..."\u{7F}"), "blank": ScalarSet(ascii: "\t"..."\t", " "..." "),
        "cntrl": ScalarSet(ascii: "\0"..."\u{1F}", "\u{7F}"..."\u{7F}"), "digit": digit,
        "graph": ScalarSet(ascii: "!"..."~"), "lower": ScalarSet(ascii: "a"..."z"), "print": ScalarSet(ascii: " "..."~"),
        "punct": ScalarSet(ascii: "!"..."/", ":"..."@", "["..."`", "{"..."~"),
        "space": ScalarSet(ascii: "\t"..."\r", " "..." "), "upper": ScalarSet(ascii: "A"..."Z"), "word": word,
        "xdigit": ScalarSet(ascii: "0"..."9", "A"..."F", "a"..."f"),
    ]

    func contains(_ scalar: Unicode.Scalar) -> Bool {
        var found = parts.contains { Self.contains($0, scalar) }
        if foldsCase, !found {
            for other in [scalar.properties.lowercaseMapping, scalar.properties.uppercaseMapping] {
                let scalars = other.unicodeScalars
                guard scalars.count == 1, let other = scalars.first, other != scalar else { continue }
                // K and the sign of Kelvin have the same lower case.
                let back = other.properties.uppercaseMapping.unicodeScalars
                found =
                    found || parts.contains { Self.contains($0, other) }
                    || (back.count == 1 && parts.contains { part in back.contains { Self.contains(part, $0) } })
            }
        }
        return found != isInverted
    }

    private static func contains(_ part: Part, _ scalar: Unicode.Scalar) -> Bool {
        switch part {
        case .range(let range): range.contains(scalar.value)
        case .category(let name): abbreviation(scalar.properties.generalCategory).hasPrefix(name)
        case .script(let name): isOf(script: name, scalar)
        case .inverted(let set): !set.contains(scalar)
        }
    }

    /// Whether there is a script of that name.
    static func isScript(_ name: String) -> Bool {
        name.allSatisfy { $0.isLetter || $0 == "_" } && (try? Regex("\\p{Script=\(name)}")) != nil
    }

    /// The library's expressions know what script a scalar belongs to; one scalar takes no backtracking.
    private static func isOf(script name: String, _ scalar: Unicode.Scalar) -> Bool {
        guard let expression = try? Regex("\\p{Script=\(name)}") else { return false }
        return (try? expression.matchingSemantics(.unicodeScalar).wholeMatch(in: String(Character(scalar)))) ?? nil != nil
    }

    static let categories: Set<String> = [
        "L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N", "Nd", "Nl", "No", "P", "Pc", "Pd", "Ps", "Pe", "Pi",
        "Pf",
        "Po", "S", "Sm", "Sc", "Sk", "So", "Z", "Zs", "Zl", "Zp", "C", "Cc", "Cf", "Cs", "Co",
    ]

    private static func abbreviation(_ category: Unicode.GeneralCategory) -> String {
        switch category {
        case .uppercaseLetter: "Lu"
        case .lowercaseLetter: "Ll"
        case .titlecaseLetter: "Lt"
        case .modifierLetter: "Lm"
        case .otherLetter: "Lo"
        case .nonspacingMark: "Mn"
        case .spacingMark: "Mc"
        case .enclosingMark: "Me"
        case .decimalNumber: "Nd"
        case .letterNumber: "Nl"
        case .otherNumber: "No"
        case .connectorPunctuation: "Pc"
        case .dashPunctuation: "Pd"
        case .openPunctuation: "Ps"
        case .closePunctuation: "Pe"
        case .initialPunctuation: "Pi"
        case .finalPunctuation: "Pf"
        case .otherPunctuation: "Po"
        case .mathSymbol: "Sm"
        case .currencySymbol: "Sc"
        case .modifierSymbol: "Sk"
        case .otherSymbol: "So"
        case .spaceSeparator: "Zs"
        case .lineSeparator: "Zl"
        case .paragraphSeparator: "Zp"
        case .control: "Cc"
        case .format: "Cf"
        case .surrogate: "Cs"
        case .privateUse: "Co"
        // RE2's C leaves out what isn't assigned.
        case .unassigned: ""
        @unknown default: ""
        }
    }
}
