#if os(Linux)
    import Foundation
    import Glibc
    import GraphRuntime
    import ONNXLoader
    import Testing

    /// The sum of the second input's elements, once for each element of the first.
    private struct Sum: Operator {
        func inferOutputs(_ inputs: InferenceInputs) throws -> [Fact] { [Fact(dtype: .float32, shape: try inputs[0].shape)] }

        func run(_ context: inout RunContext) throws {
            let sum = try context.input(1).withSpan(of: Float.self) { values in
                var sum: Float = 0
                for index in 0..<values.count { sum += values[index] }
                return sum
            }
            try context.output(0).withMutableSpan(of: Float.self) { y in for index in 0..<y.count { y[index] = sum } }
        }
    }

    /// Files that become shorter while they are mapped. Each test is a process of its own, as the guard is the whole process's.
    @Suite struct MappedFileGuardTests {
        static let library = OperatorLibrary(
            registry: OperatorRegistry([OperatorDefinition("Sum", since: 1) { _ in Sum() }], newestOpset: ["": 17]))

        /// A model whose weights, 4 MB of ones, lie in a file beside it.
        static func write(to folder: URL) throws -> (model: URL, weights: URL) {
            let (model, weights) = (folder.appendingPathComponent("model.onnx"), folder.appendingPathComponent("w"))
            try Data(littleEndian([Float](repeating: 1, count: 1 << 20))).write(to: weights)
            let node = nodeProto("Sum", ["x", "w"], ["y"], name: "sum")
            let tensor = externalTensor("w", count: 1 << 20, [("location", "w")])
            let graph = graphProto(nodes: [node], inputs: ["x"], outputs: ["y"], initializers: [tensor])
            try Data(modelBytes(graph)).write(to: model)
            return (model, weights)
        }

        static func session(_ model: URL, optimize: Bool = true) throws -> Session {
            let options = SessionOptions(optimize: optimize, threads: ThreadPool(threadCount: 1))
            return try Session(graph: ONNXModel(contentsOf: model).graph, library: library, options: options)
        }

        static func sum(_ session: Session) throws -> Float? {
            try session.run(["x": Tensor([0] as [Float])])["y"]?.array(of: Float.self).first
        }

        @Test func truncationIsAnError() async {
            await #expect(processExitsWith: .success) {
                try MappedFileGuard.install()
                try withTemporaryFolder { folder in
                    let files = try MappedFileGuardTests.write(to: folder)
                    let sessions = [
                        try MappedFileGuardTests.session(files.model),
                        try MappedFileGuardTests.session(files.model, optimize: false),
                    ]
                    try #require(try MappedFileGuardTests.sum(sessions[0]) == 1_048_576)
                    // Another file is whole, and stays so.
                    let other = folder.appendingPathComponent("other")
                    try FileManager.default.createDirectory(at: other, withIntermediateDirectories: true)
                    let whole = try MappedFileGuardTests.session(try MappedFileGuardTests.write(to: other).model)
                    for round in 0..<2 {
                        try #require(truncate(files.weights.path, 8192) == 0)
                        for session in sessions {
                            do {
                                _ = try MappedFileGuardTests.sum(session)
                                Issue.record("expected an error in round \(round)")
                            } catch let error as GraphError {
                                #expect(error.kind == .file)
                                #expect(error.message.hasPrefix("the file \(files.weights.path) became shorter"))
                            }
                        }
                        #expect(try MappedFileGuardTests.sum(whole) == 1_048_576)
                    }
                    // A load of its own maps the file anew, and finds what is wrong with it.
                    expectFailure(.externalData, "which has 8192 bytes") { _ = try ONNXModel(contentsOf: files.model) }
                    try Data(littleEndian([Float](repeating: 2, count: 1 << 20))).write(to: files.weights)
                    #expect(try MappedFileGuardTests.sum(try MappedFileGuardTests.session(files.model)) == 2_097_152)
                }
            }
        }

        @Test func truncationWithinALoad() async {
            await #expect(processExitsWith: .success) {
                try MappedFileGuard.install()
                try withTemporaryFolder { folder in
                    let file = folder.appendingPathComponent("model.onnx")
                    try Data(modelBytes(graphProto(initializers: [floatTensor("w", [Float](repeating: 1, count: 100_000))])))
                        .write(to: file)
                    let model = try ONNXModel(contentsOf: file)
                    try #require(truncate(file.path, 0) == 0)
                    // The first of the tensor's pages may be there; whatever it reads, the process goes on.
                    _ = try #require(model.graph.initializer("w")).array(of: Float.self)
                }
            }
        }

        /// Without the guard, and for faults that aren't of a model's files, all is as ever.
        @Test func isOptional() async {
            await #expect(processExitsWith: .signal(SIGBUS)) {
                // The folder is removed before the process ends; the weights stay mapped.
                let (session, weights) = try withTemporaryFolder { folder in
                    let files = try MappedFileGuardTests.write(to: folder)
                    return (try MappedFileGuardTests.session(files.model), open(files.weights.path, O_RDWR))
                }
                try #require(ftruncate(weights, 0) == 0)
                _ = try MappedFileGuardTests.sum(session)
            }
            await #expect(processExitsWith: .signal(SIGBUS)) {
                try MappedFileGuard.install()
                _ = raise(SIGBUS)
            }
            // The handler that was there before is called.
            await #expect(processExitsWith: .exitCode(7)) {
                signal(SIGBUS) { _ in _exit(7) }
                try MappedFileGuard.install()
                let descriptor = try withTemporaryFolder { folder in
                    let file = folder.appendingPathComponent("w")
                    try Data(count: 4096).write(to: file)
                    return open(file.path, O_RDWR)
                }
                let pages = mmap(nil, 4096, PROT_READ, MAP_PRIVATE, descriptor, 0)
                try #require(ftruncate(descriptor, 0) == 0)
                let byte = try #require(pages).load(as: UInt8.self)
                print(byte)
            }
        }
    }
#endif
