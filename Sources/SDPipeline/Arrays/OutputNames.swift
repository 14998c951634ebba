/// File names for values that a model names: the names are untrusted, and each of them becomes a file of one folder.
package enum OutputNames {
    /// A file name of 255 bytes is the most that common file systems take; a number and an extension have to fit behind it.
    private static let longest = 200

    /// The names with `_` for every scalar that isn't a letter, a mark, a digit, `.`, `_` or `-`, and for a `.` or `-` at the start, which
    /// would hide the file or make an option of it. Those that then are the same, also in another case or normalisation form, get a
    /// number behind them.
    package static func fileNames(for names: [String]) -> [String] {
        var used: Set<String> = []
        var lastNumbers: [String: Int] = [:]
        return names.map { name in
            let base = cleaned(name)
            let key = folded(base)
            var candidate = base
            var number = lastNumbers[key] ?? 1
            while !used.insert(folded(candidate)).inserted {
                number += 1
                candidate = "\(base)_\(number)"
            }
            lastNumbers[key] = number
            return candidate
        }
    }

    /// Scalar by scalar: a mark behind a slash makes another `Character` of it, but no other byte of the path.
    private static func cleaned(_ name: String) -> String {
        var result = String.UnicodeScalarView()
        var byteCount = 0
        for scalar in name.unicodeScalars {
            let isHiding = result.isEmpty && (scalar == "." || scalar == "-")
            let kept = isAllowed(scalar) && !isHiding ? scalar : "_"
            byteCount += UTF8.width(kept)
            guard byteCount <= longest else { break }
            result.append(kept)
        }
        return result.isEmpty ? "_" : String(result)
    }

    private static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9", ".", "_", "-": return true
        case _ where scalar.isASCII: return false
        default: break
        }
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .nonspacingMark, .spacingMark,
            .decimalNumber, .letterNumber, .otherNumber:
            return true
        default: return false
        }
    }

    /// Equal for names that a file system may take for the same. Strings compare by canonical equivalence; raising first makes one
    /// form of `ß` and `ss`.
    private static func folded(_ name: String) -> String { name.uppercased().lowercased() }
}
