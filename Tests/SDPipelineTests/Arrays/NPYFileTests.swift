import Foundation
import SDPipeline
import Testing

@Suite struct NPYFileTests {
    private struct Reference: Decodable {
        let dtype: String
        let shape: [Int]
        let file: Hex
        let data: Hex
    }

    private let references: [String: Reference]

    init() throws {
        references = try ImageReferences.load("arrays.json")
    }

    @Test func readsNumpysFiles() throws {
        #expect(references.count == 38)
        for (name, reference) in references {
            let array = try NPYArray(bytes: reference.file.bytes)
            #expect(array.dtype.rawValue == reference.dtype, "\(name)")
            #expect(array.shape == reference.shape, "\(name)")
            #expect(array.data == reference.data.bytes, "\(name)")
        }
    }

    @Test func writesNumpysFilesByteForByte() throws {
        let folder = try TemporaryFolder()
        for (name, reference) in references {
            let array = try NPYArray(bytes: reference.file.bytes)
            let isPlain = !name.contains("big") && !name.contains("fortran") && !name.contains("version")
            if isPlain { #expect(array.bytes == reference.file.bytes, "\(name)") }
            let url = folder.url.appending(path: "\(name).npy")
            try array.write(to: url)
            #expect(try NPYArray(contentsOf: url) == array)
        }
    }

    @Test func refusesEveryCutAndWhatFollows() throws {
        for (name, reference) in references where name != "empty" {
            let file = reference.file.bytes
            for length in file.indices {
                #expect(throws: NPYError.self, "\(name) cut to \(length)") { try NPYArray(bytes: Array(file[..<length])) }
            }
            #expect(throws: NPYError.self) { try NPYArray(bytes: file + [0]) }
        }
    }

    @Test(arguments: [
        "", "{}", "{'descr': '<f4'}", "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1.5,), }",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,), }", "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': 'f4', 'fortran_order': False, 'shape': (1,), }", "{'descr': '', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<U4', 'fortran_order': False, 'shape': (1,), }", "{'descr': '<f4, 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 1, }", "{'descr': '<f4', 'fortran_order': False, 'shape': (1 1), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': True, }",
        "{'descr': '<f4', 'shape': (1,), 'shape': (1,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), } x", "__import__('os')", "{{{{{{{{", "(((((((",
    ])
    func refusesHostileHeaders(header: String) {
        let text = Array(header.utf8)
        let prefix: [UInt8] = [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59, 1, 0, UInt8(text.count & 255), UInt8(text.count >> 8)]
        let error = #expect(throws: NPYError.self) { try NPYArray(bytes: prefix + text + [0, 0, 0, 0]) }
        #expect(error?.description.hasSuffix(".") == true)
    }

    @Test func refusesOtherVersionsAndLengths() {
        let magic: [UInt8] = [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59]
        for rest: [UInt8] in [[4, 0, 0, 0], [1, 1, 0, 0], [2, 0, 255, 255, 255, 255], [3, 0, 1, 0], [1, 0, 255, 255]] {
            #expect(throws: NPYError.self) { try NPYArray(bytes: magic + rest) }
        }
    }

    @Test func refusesShapesThatDoNotFit() {
        for shape in [[2, 3], [-1], [Int.max, Int.max], [-1, 0]] {
            #expect(throws: NPYError.self) { try NPYArray(dtype: .float32, shape: shape, data: [0, 0, 0, 0]) }
        }
        #expect(throws: NPYError.self) { try NPYArray(contentsOf: URL(filePath: "/nonexistent/a.npy")) }
    }

    @Test func writesLongHeadersAsVersionTwo() throws {
        let shape = [Int](repeating: 1, count: 64)
        #expect(try NPYArray(bytes: NPYArray(dtype: .uint8, shape: shape, data: [7]).bytes).shape == shape)
    }
}
