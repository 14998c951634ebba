import Foundation
import SDPipeline
import TestSupport
import Testing

@Suite struct NPZArchiveTests {
    private static func reference(_ name: String) throws -> [UInt8] {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return [UInt8](
            try Data(contentsOf: tests.appendingPathComponent("CommandLineTests/Fixtures/verify/arrays/\(name).npz")))
    }

    @Test(arguments: ["stored", "deflated"]) func readsNumpysArchives(name: String) throws {
        let archive = try NPZArchive(bytes: Self.reference(name))
        #expect(archive.names == ["a", "b"])
        #expect(try archive.array("a") == NPYArray(floats: [0, 1, 2, 3, 4, 5], shape: [2, 3]))
        #expect(try archive.array("b") == NPYArray(floats: [0.5, 1, -2], shape: [3]))
    }

    @Test func readsWhatItWrites() throws {
        let arrays = [("a", [2, 0]), ("x/y", [3]), ("ü", [])].map { name, shape in
            (name: name, array: try? NPYArray(floats: [Float](repeating: 1, count: shape.reduce(1, *)), shape: shape))
        }
        let given = arrays.compactMap { entry in entry.array.map { (name: entry.name, array: $0) } }
        #expect(given.count == 3)
        let archive = try NPZArchive(bytes: NPZArchive.encoded(given))
        #expect(archive.names == ["a", "x/y", "ü"])
        for (name, array) in given { #expect(try archive.array(name) == array) }
        #expect(try NPZArchive(bytes: NPZArchive.encoded([])).names.isEmpty)
    }

    /// Every byte cut off, and every byte changed: an error, or the arrays as they are, never a trap.
    @Test(arguments: ["stored", "deflated"]) func survivesDamage(name: String) throws {
        let bytes = try Self.reference(name)
        func read(_ bytes: [UInt8]) -> [NPYArray]? {
            do {
                let archive = try NPZArchive(bytes: bytes)
                return try archive.names.map { try archive.array($0) }
            } catch {
                #expect(error is NPZError, "\(error)")
                return nil
            }
        }
        for count in 0..<bytes.count { #expect(read(Array(bytes.prefix(count))) == nil) }
        for index in bytes.indices {
            for value in [UInt8(0), 0xFF, 0x7F, 0x80] where bytes[index] != value {
                var changed = bytes
                changed[index] = value
                _ = read(changed)
            }
        }
    }

    /// A directory's entry with other sizes.
    private static func changed(_ name: String, _ changes: [(offset: Int, value: UInt32)]) throws -> [UInt8] {
        var bytes = try reference(name)
        let signature: [UInt8] = [0x50, 0x4B, 0x01, 0x02]
        let start = try #require(bytes.indices.dropLast(4).first { bytes[$0..<$0 + 4].elementsEqual(signature) })
        for (offset, value) in changes {
            for byte in 0..<4 { bytes[start + offset + byte] = UInt8(truncatingIfNeeded: value >> (8 * byte)) }
        }
        return bytes
    }

    /// Names come from the file, and may have 64 KB each.
    @Test func errorsStayShort() throws {
        let array = try NPYArray(floats: [1], shape: [1])
        let long = String(repeating: "n", count: 60_000)
        let many = (0..<5000).map { (name: "array \($0)", array: array) }
        func message(_ body: () throws -> Void) -> String {
            do { try body() } catch { return "\(error)" }
            return ""
        }
        let missing = try NPZArchive(bytes: NPZArchive.encoded(many))
        let listed = message { _ = try missing.array(long) }
        #expect(listed.contains("\"array 0\", ") && listed.contains(" and 4980 more"), "\(listed.prefix(300))")
        let twice = try NPZArchive.encoded([(long, array), (long, array)])
        let doubled = message { _ = try NPZArchive(bytes: twice) }
        #expect(doubled.contains("twice"), "\(doubled.prefix(300))")
        for text in [listed, doubled] { #expect(text.utf8.count < 1000, "\(text.utf8.count) bytes") }
    }

    @Test func refusesHostileArchives() throws {
        let cases: [(String, [(Int, UInt32)], String)] = [
            ("deflated", [(24, 0x7FFF_FFFF)], "compressed bytes can't be 2147483647 bytes"),
            ("deflated", [(24, 100)], "more than the 100 bytes"), ("deflated", [(24, 4000)], "damaged or cut off behind"),
            ("deflated", [(16, 1)], "its checksum is wrong"),
            ("deflated", [(20, 0x7FFF_FFFF)], "ends behind the end of the file"),
            ("stored", [(24, 5)], "is stored in"), ("stored", [(42, 0x7FFF_FFFF)], "something should be at byte 2147483647"),
            ("stored", [(42, 1)], "has no header"), ("stored", [(8, 0x0000_0001)], "is encrypted"),
            ("stored", [(10, 12)], "compression method is 12"),
        ]
        for (name, changes, part) in cases {
            let bytes = try Self.changed(name, changes.map { (offset: $0.0, value: $0.1) })
            expectError(part, "\(name) \(changes)") { try NPZArchive(bytes: bytes).array("a") }
        }
    }
}
