/// A version of the Unicode Character Database, as far as it says which characters are assigned.
///
/// A tokenizer's ids depend on the Unicode version that it was built with: a letter that was assigned later is none for it. Categories
/// and mappings come from the Swift toolchain, and the characters that are younger than the reference's version are taken out.
struct UnicodeVersion {
    let major: Int
    let minor: Int

    /// That of the normalisation forms in the tokenizers library (the crate unicode-normalization-alignments 0.1.12).
    static let v9 = UnicodeVersion(major: 9, minor: 0)
    /// That of Python 3.11, which Debian 12 ships.
    static let v14 = UnicodeVersion(major: 14, minor: 0)
    /// That of the regular expressions in the tokenizers library (Oniguruma 6.9.10).
    static let v16 = UnicodeVersion(major: 16, minor: 0)

    /// Whether the character was assigned in this version.
    func assigns(_ scalar: Unicode.Scalar) -> Bool {
        guard let age = scalar.properties.age else { return false }
        return (age.major, age.minor) <= (major, minor)
    }
}
