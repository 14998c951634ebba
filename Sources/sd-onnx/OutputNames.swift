/// File names for a model's outputs.
enum OutputNames {
    /// A file name of 255 bytes is the most that common file systems take; an extension and a number have to fit behind it.
    private static let longest = 200

    /// The names with every character that can't be in a file name replaced by `_`, and a number behind those that then collide.
    static func fileNames(for names: [String]) -> [String] {
        var used: Set<String> = []
        return names.map { name in
            var base = String(name.map { $0.isASCII && !($0.isLetter || $0.isNumber || "._-".contains($0)) ? "_" : $0 })
            if base.isEmpty || base.allSatisfy({ $0 == "." }) { base = "_" }
            while base.utf8.count > longest { base.removeLast() }
            var candidate = base
            var number = 2
            // Some file systems don't tell a from A.
            while !used.insert(candidate.lowercased()).inserted {
                candidate = "\(base)_\(number)"
                number += 1
            }
            return candidate
        }
    }
}
