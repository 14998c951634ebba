"""Writes Sources/SDPipeline/Tokenizer/CanonicalDecompositions.swift from Python's unicodedata.

Run from the repository's root with Python 3.11, whose Unicode version is 14.0. Later versions add entries only for
characters that did not exist before, since the normal forms of assigned characters are stable (UAX #15, section 3).
"""

import textwrap
import unicodedata

PATH = "Sources/SDPipeline/Tokenizer/CanonicalDecompositions.swift"
HEAD = '''/// The canonical decompositions of the Unicode Character Database {version}, other than those of Hangul syllables.
///
/// Written by Tools/unicode/make_decompositions.py.
struct CanonicalDecompositions {{
    /// The full decomposition of each character that has one.
    let full: [Unicode.Scalar: [Unicode.Scalar]]
    /// The primary composite of each pair, keyed by the first scalar in the high and the second in the low 32 bits.
    let composites: [UInt64: Unicode.Scalar]

    static let table = CanonicalDecompositions()

    private init() {{
        var direct: [Unicode.Scalar: [Unicode.Scalar]] = [:]
        var composites: [UInt64: Unicode.Scalar] = [:]
        for entry in Self.entries.split(whereSeparator: \\.isWhitespace) {{
            // "c0=41+300": a primary composite; "212b>c5" or "958>915+93c": decomposes and is not composed again.
            let sides = entry.split {{ $0 == "=" || $0 == ">" }}
            let scalars = sides.flatMap {{ $0.split(separator: "+") }}.compactMap {{ UInt32($0, radix: 16) }}
                .compactMap(Unicode.Scalar.init)
            guard let composite = scalars.first else {{ continue }}
            direct[composite] = Array(scalars.dropFirst())
            if entry.contains("="), scalars.count == 3 {{
                composites[UInt64(scalars[1].value) << 32 | UInt64(scalars[2].value)] = composite
            }}
        }}
        var full = direct
        for (scalar, parts) in direct {{
            var parts = parts
            // Only the first part of a pair, or a lone part, is decomposed further.
            while let first = parts.first, let further = direct[first] {{
                parts.replaceSubrange(0..<1, with: further)
            }}
            full[scalar] = parts
        }}
        self.full = full
        self.composites = composites
    }}

    private static let entries = """
'''


def main():
    entries = []
    for code in range(0x110000):
        parts = unicodedata.decomposition(chr(code))
        if not parts or parts.startswith("<"):
            continue
        parts = [int(part, 16) for part in parts.split()]
        assert not any(unicodedata.decomposition(chr(part)) for part in parts[1:])
        stable = unicodedata.normalize("NFC", chr(code)) == chr(code)
        assert not stable or len(parts) == 2
        entries.append(f"{code:x}{'=' if stable else '>'}" + "+".join(f"{part:x}" for part in parts))
    with open(PATH, "w") as file:
        file.write(HEAD.format(version=unicodedata.unidata_version))
        for line in textwrap.wrap(" ".join(entries), 118):
            file.write(f"        {line}\n")
        file.write('        """\n}\n')
    print(len(entries), "entries")


if __name__ == "__main__":
    main()
