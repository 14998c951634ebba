import Foundation
import GraphRuntime
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// A temporary file of float32 numbers, mapped as a model's weights are.
private final class MappedNumbers {
    let storage: TensorStorage
    private let url: URL

    init(count: Int) throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("weights-\(UUID().uuidString)")
        try Data().write(to: url)
        let file = try FileHandle(forUpdating: url)
        let part = 1 << 20
        for start in stride(from: 0, to: count, by: part) {
            let values = (start..<min(start + part, count)).map { Float($0 % 8191) }
            unsafe try file.write(contentsOf: values.withUnsafeBytes { unsafe Data($0) })
        }
        let byteCount = count * MemoryLayout<Float>.size
        let base = unsafe mmap(nil, byteCount, PROT_READ, MAP_PRIVATE, file.fileDescriptor, 0)
        try file.close()
        storage = unsafe TensorStorage(base: try #require(base), byteCount: byteCount, owner: NSObject(), isMappedFile: true)
    }

    deinit {
        unsafe munmap(storage.base, storage.byteCount)
        try? FileManager.default.removeItem(at: url)
    }

    func tensor(_ range: Range<Int>) throws -> Tensor {
        try Tensor(dtype: .float32, shape: Shape([range.count]), storage: storage, byteOffset: range.lowerBound * 4)
    }
}

private func makeSession(_ graph: Graph, optimize: Bool = true, savesMemory: Bool) throws -> Session {
    let options = SessionOptions(optimize: optimize, threads: ThreadPool(threadCount: 2), savesMemory: savesMemory)
    return try Session(graph: graph, library: toyLibrary, options: options)
}

@Suite struct MemoryTests {
    #if os(Linux)
        /// Bytes of mapped files that are in this process's memory.
        static func residentFileBytes() throws -> Int {
            let text = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
            let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("RssFile:") })
            return try #require(Int(line.filter(\.isNumber))) * 1024
        }

        private final class Watch: RunObserver {
            var largest = 0

            func didRun(_ event: NodeEvent) { largest = max(largest, (try? MemoryTests.residentFileBytes()) ?? .max) }
        }

        /// In a process of its own, as other tests map files at the same time. Eight weights of 32 MB are added to the input, one after
        /// the other; what is watched is how much of them is in memory when a node has just read its own.
        @Test func weightsLeaveMemoryAfterUse() async {
            await #expect(processExitsWith: .success) {
                let count = 8 << 20
                let byteCount = count * 4
                let file = try MappedNumbers(count: 8 * count)
                var toy = ToyGraph()
                toy.input("x")
                for index in 0..<8 {
                    toy.constant("w\(index)", try file.tensor(index * count..<(index + 1) * count))
                    toy.node("Add", [index == 0 ? "x" : "v\(index - 1)", "w\(index)"], ["v\(index)"])
                }
                toy.output("v7")
                let x = try Tensor([Float](repeating: 0.5, count: count))
                var results: [[Float]] = []
                let small = byteCount + byteCount / 4
                for (optimize, savesMemory) in [(true, true), (false, true), (true, false)] {
                    file.storage.releasePages(0..<file.storage.byteCount)
                    let session = try makeSession(toy.graph, optimize: optimize, savesMemory: savesMemory)
                    let before = try MemoryTests.residentFileBytes()
                    for _ in 0..<2 {
                        let watch = Watch()
                        let y = try #require(try session.run(["x": x], observer: watch)["v7"])
                        results.append(try y.array(of: Float.self))
                        let after = try MemoryTests.residentFileBytes() - before
                        if savesMemory {
                            #expect(watch.largest - before >= byteCount / 2 && watch.largest - before <= small)
                            #expect(after <= byteCount / 8)
                        } else {
                            // Without sparing the watch sees all of them: it measures what it says.
                            #expect(watch.largest - before >= 7 * byteCount && after >= 7 * byteCount)
                        }
                    }
                }
                #expect(results.allSatisfy { $0 == results[0] })
                var expected: Float = 0.5
                for index in 0..<8 { expected += Float((index * count + 5) % 8191) }
                #expect(results[0][5] == expected)
            }
        }
    #endif

    @Test func adviceChangesNothing() throws {
        let file = try MappedNumbers(count: 3_000_000)
        let tensor = try file.tensor(1_000_001..<2_500_003)
        let before = try tensor.array(of: Float.self)
        let end = file.storage.byteCount
        for range in [0..<end, 4_000_004..<10_000_012, end - 1..<end, 5..<5, 0..<1] {
            file.storage.releasePages(range)
            file.storage.readAhead(range)
            try expectEqual(tensor, before)
        }
        // Memory of other kinds would lose its content.
        let own = try Tensor([Float](repeating: 3, count: 1_000_000))
        own.storage.releasePages(0..<own.storage.byteCount)
        #expect(try own.array(of: Float.self).allSatisfy { $0 == 3 })
    }

    /// What a large weight becomes is computed at run time where memory is spared, and folded otherwise; small constants always fold.
    @Test(arguments: [(100_000, true, 3), (100_000, false, 1), (1000, true, 1)])
    func largeConstantsArentKept(count: Int, savesMemory: Bool, nodes: Int) throws {
        let file = try MappedNumbers(count: count)
        var toy = ToyGraph()
        toy.input("x")
        toy.constant("w", try file.tensor(0..<count))
        toy.node("Scale", ["w"], ["s"])
        toy.node("Flatten", ["s"], ["f"])
        toy.node("Add", ["x", "f"], ["y"])
        toy.output("y")
        let session = try makeSession(toy.graph, savesMemory: savesMemory)
        let x = try Tensor([Float](repeating: 1, count: count))
        // Scale, the view of its result, and Add.
        #expect(try session.prepare(["x": x]).nodeCount == nodes)
        let y = try #require(try session.run(["x": x])["y"]).array(of: Float.self)
        let expected = (0..<count).map { index -> Float in 1 + 2 * Float(index % 8191) }
        #expect(y == expected)
    }
}
