import Foundation
import GraphRuntime
import Synchronization
import Testing

/// Changes the text before a tensor's elements.
private func replace(_ text: String, by other: String, in file: inout Data) {
    file = Data(String(decoding: file.prefix(4096), as: UTF8.self).replacing(text, with: other).utf8) + file.dropFirst(4096)
}

/// Packed weights that later processes find in a folder: stores of packed constants stand for processes.
@Suite final class PanelCacheTests {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("panels-\(UUID().uuidString)")
    private let threads = ThreadPool(threadCount: 2)
    private let values = (0..<700_001).map { Float($0) + 0.25 }

    deinit { try? FileManager.default.removeItem(at: folder) }

    private var panels: URL { folder.appendingPathComponent("panels") }

    private func files() throws -> [URL] {
        try FileManager.default.contentsOfDirectory(at: panels, includingPropertiesForKeys: nil)
    }

    /// A mapped file of these numbers. One of the same name is written over, as by a program that exports anew.
    private func weights(_ values: [Float], name: String = "weights") throws -> Tensor {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let file = folder.appendingPathComponent(name)
        let bytes = values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * $0)) } }
        if let handle = try? FileHandle(forWritingTo: file) {
            try handle.write(contentsOf: Data(bytes))
            try handle.close()
        } else {
            try Data(bytes).write(to: file)
        }
        let storage = try #require(TensorStorage.mapping(file: file.path))
        return try Tensor(dtype: .float32, shape: Shape([values.count]), storage: storage)
    }

    /// What another process gets of a constant in the form of its numbers with the other sign, and whether it packed it.
    private func packed(
        _ source: Tensor, form: String = "negated", in cache: PanelCache? = nil
    ) throws -> (values: [Float], isMade: Bool) {
        let constants = PackedConstants(PackedConstantStore(cache: try cache ?? PanelCache(folder: panels.path)))
        let result = try withExtendedLifetime(constants) {
            let constant = try #require(
                constants.constant(source, form: form) { source, _ throws(TensorError) in
                    try Tensor(source.view(of: Float.self).map { -$0 }, shape: Shape([1, source.count]))
                })
            return try constant.tensor(threads: threads)
        }
        #expect(result.shape.dimensions == [1, source.count])
        return (Array(try result.view(of: Float.self)), !result.storage.isMappedFile)
    }

    private func expect(_ source: Tensor, isMade: Bool, _ comment: Comment, form: String = "negated") throws {
        let found = try packed(source, form: form)
        #expect(found.isMade == isMade, comment)
        #expect(found.values == Array(try source.view(of: Float.self)).map { -$0 }, comment)
    }

    @Test func isFoundByLaterProcesses() throws {
        let source = try weights(values)
        try expect(source, isMade: true, "nothing is there")
        try expect(source, isMade: false, "it is in the folder")
        try expect(source, isMade: true, "of another form", form: "negated, too")
        let part = try Tensor(dtype: .float32, shape: Shape([5]), storage: source.storage, byteOffset: 8)
        try expect(part, isMade: true, "of other bytes of the file")
        try expect(part, isMade: false, "it is in the folder")
        try expect(source, isMade: false, "still there")
        #expect(try files().count == 3)
    }

    /// A form that is made of several constants is another one with any other of these, and none is kept that is made of one in memory.
    @Test func otherConstants() throws {
        let (source, scales) = (try weights(values), try weights([2, 3], name: "scales"))
        func isMade(_ others: [Tensor]) throws -> Bool {
            let constants = PackedConstants(PackedConstantStore(cache: try PanelCache(folder: panels.path)))
            let constant = try #require(
                constants.constant(source, form: "scaled", others: others) { source, _ throws(TensorError) in
                    let scale = try others[0].view(of: Float.self)[0]
                    return try Tensor(source.view(of: Float.self).map { $0 * scale }, shape: source.shape)
                })
            let result = try withExtendedLifetime(constants) { try constant.tensor(threads: threads) }
            let scale = try others[0].view(of: Float.self)[0]
            #expect(try Array(result.view(of: Float.self)) == values.map { $0 * scale })
            return !result.storage.isMappedFile
        }
        #expect(try isMade([scales]))
        #expect(try !isMade([scales]))
        let second = try Tensor(dtype: .float32, shape: Shape([1]), storage: scales.storage, byteOffset: 4)
        #expect(try isMade([second]))
        #expect(try isMade([scales, second]))
        #expect(try files().count == 3)
        let inMemory = try Tensor([Float(5)], shape: Shape([1]))
        for _ in 0..<2 { #expect(try isMade([inMemory])) }
        #expect(try files().count == 3)
    }

    @Test func modelsMayBeExchanged() throws {
        try expect(try weights(values), isMade: true, "nothing is there")
        let other = try weights(values.reversed())
        try expect(other, isMade: true, "the file has another content of the same size")
        try expect(other, isMade: false, "it is in the folder")
        try expect(try weights(values, name: "other"), isMade: true, "another file")
    }

    /// Whatever a file of the folder holds, the weights are right, and the file is mended.
    @Test(
        arguments: [
            { $0[5000] ^= 1 }, { $0[4096] ^= 0x80 }, { $0[$0.count - 1] ^= 4 }, { $0.swapAt(4096, 4099) }, { $0.removeLast() },
            { $0.append(0) }, { $0 = Data() }, { $0 = $0.prefix(100) }, { $0 = $0.prefix(4096) }, { $0[10] ^= 1 },
            { replace("extents 1 ", by: "extents ", in: &$0) }, { replace("type 1\n", by: "type 8\n", in: &$0) },
            { $0 = Data(repeating: 0, count: $0.count) }, { $0 = Data((0..<9000).map { UInt8(truncatingIfNeeded: $0 * 7) }) },
        ] as [@Sendable (inout Data) -> Void])
    func anyContentOfItsFiles(change: @Sendable (inout Data) -> Void) throws {
        let source = try weights(values)
        try expect(source, isMade: true, "nothing is there")
        let file = try #require(try files().first)
        var content = try Data(contentsOf: file)
        change(&content)
        try content.write(to: file)
        try expect(source, isMade: true, "the file was changed")
        try expect(source, isMade: false, "the file is mended")
    }

    @Test func filesMayBeDeleted() throws {
        let source = try weights(values)
        let cache = try PanelCache(folder: panels.path)
        #expect(try packed(source, in: cache).isMade)
        let found = try packed(source, in: cache)
        try FileManager.default.removeItem(at: panels)
        #expect(!found.isMade && found.values == values.map { -$0 })
        try expect(source, isMade: true, "the folder is made again")
    }

    @Test func aFolderThatTakesNothing() throws {
        let source = try weights(values)
        let reports = Mutex<[String]>([])
        let cache = try PanelCache(folder: panels.path) { text in reports.withLock { $0.append(text) } }
        try FileManager.default.removeItem(at: panels)
        for form in ["one", "two"] {
            let found = try packed(source, form: form, in: cache)
            #expect(found.isMade && found.values == values.map { -$0 })
        }
        let texts = reports.withLock { $0 }
        #expect(texts.count == 1 && texts[0].contains("can't be written: No such file or directory."))
        let file = folder.appendingPathComponent("weights").path
        #expect(throws: GraphError.self) { try PanelCache(folder: file) }
        #expect(throws: GraphError.self) { try PanelCache(folder: file + "/panels") }
    }

    /// What a killed process left goes, and what others are writing stays.
    @Test func partialFiles() throws {
        try FileManager.default.createDirectory(at: panels, withIntermediateDirectories: true)
        let (old, new) = (panels.appendingPathComponent("a.1.partial"), panels.appendingPathComponent("b.2.partial"))
        for file in [old, new] { try Data([1]).write(to: file) }
        try FileManager.default.setAttributes([.modificationDate: Date(timeIntervalSinceNow: -7200)], ofItemAtPath: old.path)
        _ = try PanelCache(folder: panels.path)
        #expect(try files().map(\.lastPathComponent) == ["b.2.partial"])
    }

    /// Constants in memory, which have no file to tell them by, are packed in each process.
    @Test func constantsInMemory() throws {
        let source = try Tensor(values, shape: Shape([values.count]))
        let store = PackedConstantStore(cache: try PanelCache(folder: panels.path))
        store.admit(source)
        let constants = PackedConstants(store)
        let constant = try #require(constants.constant(source, form: "copy") { source, _ in source })
        #expect(try constant.tensor(threads: threads).count == values.count)
        #expect(try files().isEmpty)
    }

    /// Every length and place of a change counts, and the number of threads doesn't.
    @Test func checksums() throws {
        var known: Set<UInt64> = []
        for count in [0, 1, 2, 63, 64, 65, 128, 1 << 20, 1 << 20 + 1, 3 << 20 + 17] {
            var bytes = [UInt8](repeating: 0, count: count)
            for change in [0, 7, 8, 63, 64, count / 2, count - 1] where change >= 0 && change <= max(count - 1, 0) {
                let tensor = try Tensor(dtype: .uint8, shape: Shape([count]), bytes: bytes)
                let checksum = tensor.checksum(threads: threads)
                #expect(checksum == tensor.checksum(threads: ThreadPool(threadCount: 1)))
                #expect(known.insert(checksum).inserted || count == 0, "\(count) bytes")
                if count > 0 { bytes[change] &+= UInt8(truncatingIfNeeded: 1 + change % 11) }
            }
        }
    }
}
