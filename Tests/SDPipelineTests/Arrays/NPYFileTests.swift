import Foundation
import SDPipeline
import TestSupport
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
        references = try References.load("arrays.json")
    }

    @Test func readsNumpysFiles() throws {
        #expect(references.count == 38)
        for (name, reference) in references {
            let array = try NPYArray(bytes: reference.file.bytes)
            #expect(array.dtype.rawValue == reference.dtype, "\(name)")
            #expect(array.shape == reference.shape, "\(name)")
            expectEqual(array.data, reference.data.bytes, name)
        }
    }

    @Test func writesNumpysFilesByteForByte() throws {
        let folder = try TemporaryFolder()
        for (name, reference) in references {
            let array = try NPYArray(bytes: reference.file.bytes)
            let isPlain = !name.contains("big") && !name.contains("fortran") && !name.contains("version")
            if isPlain { expectEqual(array.bytes, reference.file.bytes, name) }
            let url = folder.url.appending(path: "\(name).npy")
            try array.write(to: url)
            #expect(try NPYArray(contentsOf: url) == array)
        }
    }

    @Test func refusesEveryCutAndWhatFollows() throws {
        for (name, reference) in references where name != "empty" {
            let file = reference.file.bytes
            for length in file.indices {
                expectError("The array can't be used as .npy: ", "\(name) cut to \(length)") {
                    try NPYArray(bytes: Array(file[..<length]))
                }
            }
            expectError("the file has \(reference.data.bytes.count + 1)", name) { try NPYArray(bytes: file + [0]) }
        }
    }

    @Test(arguments: [
        ("", "lacks a {"),
        ("{}", "must have descr"),
        ("{'descr': '<f4'}", "must have descr"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)", "lacks a }"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", "something that isn't a size"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1.5,), }", "lacks a )"),
        ("{'descr': '<f4', 'fortran_order': 0, 'shape': (1,), }", "structured types and objects aren't supported"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "have type '|O', expected one of f2"),
        ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "structured types and objects aren't supported"),
        ("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", "have type '<c8', expected one of f2"),
        ("{'descr': 'f4', 'fortran_order': False, 'shape': (1,), }", "have type 'f4', expected one of f2"),
        ("{'descr': '', 'fortran_order': False, 'shape': (1,), }", "have type '', expected one of f2"),
        ("{'descr': '<U4', 'fortran_order': False, 'shape': (1,), }", "have type '<U4', expected one of f2"),
        ("{'descr': '<f4, 'fortran_order': False, 'shape': (1,), }", "lacks a }"),
        (
            "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }",
            "shape [4611686018427387904, 4] is impossible"
        ),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", "something that isn't a size"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }", "says 4000000000000 bytes of elements"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': 1, }", "structured types and objects aren't supported"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1 1), }", "lacks a )"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': True, }", "and nothing else"),
        ("{'descr': '<f4', 'shape': (1,), 'shape': (1,), }", "has shape twice"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), } x", "something behind the dictionary"),
        ("__import__('os')", "lacks a {"),
        ("{{{{{{{{", "isn't a dictionary of texts"),
        ("(((((((", "lacks a {"),
    ])
    func refusesHostileHeaders(header: String, reason: String) {
        let text = Array(header.utf8)
        let prefix: [UInt8] = [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59, 1, 0, UInt8(text.count & 255), UInt8(text.count >> 8)]
        let error = #expect(throws: NPYError.self) { try NPYArray(bytes: prefix + text + [0, 0, 0, 0]) }
        #expect(error?.reason.contains(reason) == true, "\(error?.reason ?? "")")
        #expect(error?.description.hasSuffix(".") == true)
    }

    @Test func refusesOtherVersionsAndLengths() {
        let magic: [UInt8] = [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59]
        let cases: [([UInt8], String)] = [
            ([4, 0, 0, 0], "its version is 4.0"), ([1, 1, 0, 0], "its version is 1.1"),
            ([2, 0, 255, 255, 255, 255], "has 4294967295 bytes, at most 1048576"), ([3, 0, 1, 0], "its header is cut off"),
            ([1, 0, 255, 255], "its header is cut off"),
        ]
        for (rest, reason) in cases { expectError(reason) { try NPYArray(bytes: magic + rest) } }
    }

    @Test func refusesShapesThatDoNotFit() {
        expectError("shape [2, 3] and type f4 has 24 bytes, 4 were given") {
            try NPYArray(dtype: .float32, shape: [2, 3], data: [0, 0, 0, 0])
        }
        for shape in [[-1], [Int.max, Int.max], [-1, 0]] {
            expectError("its shape \(shape) is impossible") {
                try NPYArray(dtype: .float32, shape: shape, data: [0, 0, 0, 0])
            }
        }
        expectError("/nonexistent/a.npy can't be used as .npy: the file can't be read") {
            try NPYArray(contentsOf: URL(filePath: "/nonexistent/a.npy"))
        }
    }

    @Test func writesLongHeadersAsVersionTwo() throws {
        let shape = [Int](repeating: 1, count: 64)
        #expect(try NPYArray(bytes: NPYArray(dtype: .uint8, shape: shape, data: [7]).bytes).shape == shape)
    }
}
