import Foundation
import GraphRuntime
import ONNXLoader
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Files with holes, so that gigabytes take no room on the disk.
@Suite struct LargeFileTests {
    /// Writes a model whose float32 tensors `w0`, `w1` and so on have `byteCount` bytes of raw_data each: zeros up to the last
    /// element, which is the tensor's number plus one.
    static func writeInline(_ url: URL, tensors: Int, byteCount: Int) throws {
        var heads: [[UInt8]] = []
        var graphBytes = 0
        for index in 0..<tensors {
            var tensor = tensorProto("w\(index)", type: 1, dims: [Int64(byteCount / 4)])
            tensor.tag(9, 2)
            tensor.raw(Proto.varint(UInt64(byteCount)))
            var head = Proto()
            head.tag(5, 2)
            head.raw(Proto.varint(UInt64(tensor.bytes.count + byteCount)))
            heads.append(head.bytes + tensor.bytes)
            graphBytes += heads[index].count + byteCount
        }
        var start = Proto()
        start.int(1, 8)
        start.message(8, opsetProto("", 17))
        start.tag(7, 2)
        start.raw(Proto.varint(UInt64(graphBytes)))
        try Data(start.bytes).write(to: url)
        let file = try FileHandle(forWritingTo: url)
        defer { try? file.close() }
        var offset = UInt64(start.bytes.count)
        for (index, head) in heads.enumerated() {
            try file.seek(toOffset: offset)
            try file.write(contentsOf: Data(head))
            offset += UInt64(head.count + byteCount)
            try file.seek(toOffset: offset - 4)
            try file.write(contentsOf: Data(littleEndian([Float(index + 1)])))
        }
    }

    private static func last(_ tensor: Tensor) -> Float {
        unsafe tensor.rawBytes.loadUnaligned(fromByteOffset: tensor.byteCount - 4, as: Float.self)
    }

    @Test func inlineBeyondTwoGigabytes() throws {
        try withTemporaryFolder { folder in
            let url = folder.appendingPathComponent("model.onnx")
            try Self.writeInline(url, tensors: 3, byteCount: 1_100_000_000)
            let graph = try ONNXModel(contentsOf: url).graph
            for index in 0..<3 {
                let tensor = try #require(graph.initializer("w\(index)"))
                #expect(Self.last(tensor) == Float(index + 1) && tensor.storage.isMappedFile)
            }
            // One tensor alone.
            try Self.writeInline(url, tensors: 1, byteCount: 2_400_000_000)
            #expect(Self.last(try #require(try ONNXModel(contentsOf: url).graph.initializer("w0"))) == 1)
        }
    }

    @Test func externalBeyondFourGigabytes() throws {
        try withTemporaryFolder { folder in
            let weights = folder.appendingPathComponent("model.onnx_data")
            try Data().write(to: weights)
            let file = try FileHandle(forWritingTo: weights)
            try file.seek(toOffset: 5_000_000_000)
            try file.write(contentsOf: Data(littleEndian([1, 2, 3])))
            try file.close()
            let entries = [("location", "model.onnx_data"), ("offset", "5000000000"), ("length", "12")]
            let url = folder.appendingPathComponent("model.onnx")
            try Data(modelBytes(graphProto(initializers: [externalTensor("w", count: 3, entries)]))).write(to: url)
            try expectEqual(#require(try ONNXModel(contentsOf: url).graph.initializer("w")), [1, 2, 3] as [Float])
        }
    }

    #if os(Linux)
        /// A number of kilobytes in /proc/self/status, as bytes.
        static func status(_ key: String) throws -> Int {
            let text = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
            let line = try #require(text.split(separator: "\n").first { $0.hasPrefix(key + ":") })
            return try #require(Int(line.filter(\.isNumber))) * 1024
        }

        /// In a process of its own, as other tests use memory at the same time: half a gigabyte of raw_data is loaded under a limit
        /// of 5 % of that on everything that the process may still allocate, at any moment.
        @Test func weightsAreMapped() async {
            await #expect(processExitsWith: .success) {
                try withTemporaryFolder { folder in
                    let url = folder.appendingPathComponent("model.onnx")
                    let byteCount = 500_000_000
                    // One file with large tensors, one with a thousand of half a megabyte.
                    for tensors in [5, 1000] {
                        try LargeFileTests.writeInline(url, tensors: tensors, byteCount: byteCount / tensors)
                        let data = try LargeFileTests.status("VmData")
                        let resident = try LargeFileTests.status("RssAnon")
                        var limit = rlimit()
                        getrlimit(__rlimit_resource_t(RLIMIT_DATA.rawValue), &limit)
                        limit.rlim_cur = rlim_t(data + byteCount / 20)
                        try #require(setrlimit(__rlimit_resource_t(RLIMIT_DATA.rawValue), &limit) == 0)
                        TensorStorage.resetPeak()
                        let before = TensorStorage.currentBytes
                        let graph = try ONNXModel(contentsOf: url).graph
                        #expect(try LargeFileTests.status("VmData") - data < byteCount / 20)
                        #expect(try LargeFileTests.status("RssAnon") - resident < byteCount / 20)
                        #expect(TensorStorage.peakBytes - before < byteCount / 20)
                        #expect(graph.initializers.count == tensors)
                        limit.rlim_cur = limit.rlim_max
                        setrlimit(__rlimit_resource_t(RLIMIT_DATA.rawValue), &limit)
                    }
                }
            }
        }
    #endif
}
