import Foundation
import Testing

/// Unsafe code stays in the rooms that docs/architecture.md names.
@Suite struct UnsafeCodeTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// The paths in the list of the section on unsafe code.
    private func rooms() throws -> [String] {
        let page = try String(contentsOf: Self.root.appendingPathComponent("docs/architecture.md"), encoding: .utf8)
        let section = try #require(page.components(separatedBy: "\n## Unsafe code\n").dropFirst().first)
        let items = section.components(separatedBy: "\n## ")[0].split(separator: "\n").filter { $0.hasPrefix("- ") }
        return items.flatMap { item in
            let paths = item.split(separator: ":")[0].split(separator: "`")
            return paths.filter { $0.hasPrefix("Sources/") }.map(String.init)
        }
    }

    /// Code without comments, by line, of a file that has one of these words; others are passed over, since lines take their time.
    private func lines(_ file: URL, with words: String...) throws -> [Substring] {
        let bytes = try Data(contentsOf: file)
        guard words.contains(where: { bytes.range(of: Data($0.utf8)) != nil }) else { return [] }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.range(of: "//").map { line[..<$0.lowerBound] } ?? line
        }
    }

    @Test func staysInItsRooms() throws {
        let rooms = try rooms()
        #expect(rooms.count > 5)
        for room in rooms {
            #expect(FileManager.default.fileExists(atPath: Self.root.appendingPathComponent(room).path), "there is no \(room)")
        }
        let sources = Self.root.appendingPathComponent("Sources")
        let files = try #require(FileManager.default.enumerator(at: sources, includingPropertiesForKeys: nil))
        let unsafe = /\bunsafe\b|Unsafe|@unchecked|Unmanaged|nonisolated\(unsafe\)|unowned\(unsafe\)/
        var checked = 0
        for case let file as URL in files where file.pathExtension == "swift" {
            let path = "Sources" + file.path.dropFirst(sources.path.count)
            guard !rooms.contains(where: { path == $0 || path.hasPrefix($0 + "/") }) else { continue }
            checked += 1
            for (number, line) in try lines(file, with: "nsafe", "@unchecked", "Unmanaged").enumerated()
            where line.contains(unsafe) {
                Issue.record("\(path):\(number + 1) is no room for unsafe code: \(line.trimmingCharacters(in: .whitespaces))")
            }
        }
        #expect(checked > 200)
    }

    /// The kernels' C functions and BLAS are called from one room alone.
    @Test func backendAloneImportsKernels() throws {
        let ops = Self.root.appendingPathComponent("Sources/Ops")
        let files = try #require(FileManager.default.enumerator(at: ops, includingPropertiesForKeys: nil))
        var checked = 0
        for case let file as URL in files where file.pathExtension == "swift" && !file.path.contains("/Backend/") {
            checked += 1
            for line in try lines(file, with: "import CKernels", "import COpenBLAS") {
                #expect(!line.contains(/^import (CKernels|COpenBLAS)/), "\(file.lastPathComponent) imports kernels")
            }
        }
        #expect(checked > 100)
    }

    /// Every Swift target is compiled with strict memory safety.
    @Test func everyTargetIsStrict() throws {
        let manifest = try String(contentsOf: Self.root.appendingPathComponent("Package.swift"), encoding: .utf8)
        #expect(manifest.contains("for target in package.targets where [.regular, .executable, .test].contains(target.type)"))
        #expect(manifest.contains("[.strictMemorySafety()]"))
    }
}
