import Foundation
import Testing

/// The built program, run as a person runs it.
enum Program {
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures")
    static let emoji = root.appendingPathComponent("Models/emoji")

    /// Where Tools/setup-test-data.sh puts what git doesn't keep.
    static let cache: URL = {
        let environment = ProcessInfo.processInfo.environment
        if let path = environment["SD_ONNX_TEST_CACHE"], !path.isEmpty { return URL(fileURLWithPath: path) }
        return FileManager.default.homeDirectoryForCurrentUser.appendingPathComponent(".cache/sd-onnx")
    }()

    struct Outcome {
        let code: Int32
        let output: Data
        /// Standard error.
        let messages: String

        var text: String { String(decoding: output, as: UTF8.self) }
        var lines: [Substring] { messages.split(separator: "\n") }

        func json() throws -> [String: Any] { try #require(try JSONSerialization.jsonObject(with: output) as? [String: Any]) }
    }

    /// The program lies beside the tests' own bundle.
    static func url() throws -> URL {
        let bundles = Bundle.allBundles.filter { $0.bundlePath.hasSuffix(".xctest") }.map(\.bundleURL)
        let places = bundles + [Bundle.main.executableURL, Bundle.main.bundleURL].compactMap { $0 }
        for place in places {
            var folder = place
            while folder.path != "/" {
                folder.deleteLastPathComponent()
                let program = folder.appendingPathComponent("sd-onnx")
                var isFolder: ObjCBool = false
                if unsafe FileManager.default.fileExists(atPath: program.path, isDirectory: &isFolder), !isFolder.boolValue {
                    return program
                }
                if folder.lastPathComponent == ".build" { break }
            }
        }
        throw Missing()
    }

    struct Missing: Error, CustomStringConvertible {
        let description = "The program isn't beside the tests: build it with swift build -c release --product sd-onnx."
    }

    /// Runs the program to its end.
    static func run(_ arguments: [String], in folder: TemporaryFolder, environment: [String: String] = [:]) throws -> Outcome {
        try launch(url(), arguments, in: folder, environment: environment).finish()
    }

    /// Runs another program to its end, with the environment that the tests have.
    static func run(tool: URL, _ arguments: [String], in folder: TemporaryFolder) throws -> Outcome {
        try launch(tool, arguments, in: folder, environment: [:]).finish()
    }

    /// Runs a shell command in which `$P` is the program.
    static func shell(_ command: String, in folder: TemporaryFolder) throws -> Outcome {
        let environment = ["P": try url().path]
        return try launch(URL(fileURLWithPath: "/bin/sh"), ["-c", command], in: folder, environment: environment).finish()
    }

    /// Starts the program.
    static func start(_ arguments: [String], in folder: TemporaryFolder, environment: [String: String] = [:]) throws -> Running
    {
        try launch(url(), arguments, in: folder, environment: environment)
    }

    /// Starts another program.
    static func start(tool: URL, _ arguments: [String], in folder: TemporaryFolder) throws -> Running {
        try launch(tool, arguments, in: folder, environment: [:])
    }

    /// Starts a shell command in which `$P` is the program.
    static func startShell(_ command: String, in folder: TemporaryFolder) throws -> Running {
        let environment = ["P": try url().path]
        return try launch(URL(fileURLWithPath: "/bin/sh"), ["-c", command], in: folder, environment: environment)
    }

    /// Starts the program with signals not ignored, as they may be where the tests run in the background.
    static func startDefault(signals: [String], _ arguments: String, in folder: TemporaryFolder) throws -> Running {
        try startShell("exec env --default-signal=\(signals.joined(separator: ",")) \"$P\" \(arguments)", in: folder)
    }

    struct Running {
        let process: Process
        let output: URL
        let messages: URL

        /// Waits until the program has said something, such as that it has begun to work.
        func waitForMessages() throws {
            let deadline = Date(timeIntervalSinceNow: 600)
            while try Data(contentsOf: messages).isEmpty, Date() < deadline { usleep(20_000) }
        }

        /// - Parameter signal: what ends the program; nil where it ends by itself.
        func finish(by signal: Int32? = nil) throws -> Outcome {
            process.waitUntilExit()
            if let signal {
                #expect(process.terminationReason == .uncaughtSignal && process.terminationStatus == signal)
            } else {
                #expect(process.terminationReason == .exit, "the program was ended by signal \(process.terminationStatus)")
            }
            return Outcome(
                code: process.terminationStatus, output: try Data(contentsOf: output),
                messages: String(decoding: try Data(contentsOf: messages), as: UTF8.self))
        }
    }

    private static func launch(
        _ program: URL, _ arguments: [String], in folder: TemporaryFolder, environment: [String: String]
    ) throws -> Running {
        let output = folder.streams.appendingPathComponent(UUID().uuidString)
        let messages = folder.streams.appendingPathComponent(UUID().uuidString)
        for file in [output, messages] { try Data().write(to: file) }
        let process = Process()
        process.executableURL = program
        process.arguments = arguments
        process.currentDirectoryURL = folder.url
        // The instruction set that the tests run with is the program's too.
        let kept = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("SD_ONNX_") || $0.key == "SD_ONNX_CPU" }
        process.environment = kept.merging(environment) { _, stated in stated }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = try FileHandle(forWritingTo: messages)
        try process.run()
        return Running(process: process, output: output, messages: messages)
    }
}

/// A folder for one test; another beside it takes the program's streams, so that this one holds only what the program wrote.
final class TemporaryFolder {
    let url: URL
    let streams: URL

    init() throws {
        let base = FileManager.default.temporaryDirectory.appendingPathComponent("sd-onnx-\(UUID().uuidString)")
        url = base.appendingPathComponent("work")
        streams = base.appendingPathComponent("streams")
        for folder in [url, streams] { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }
    }

    deinit { try? FileManager.default.removeItem(at: streams.deletingLastPathComponent()) }

    subscript(_ name: String) -> URL { url.appendingPathComponent(name) }

    /// The names of everything in it, hidden files too.
    var names: [String] { (try? FileManager.default.contentsOfDirectory(atPath: url.path).sorted()) ?? [] }

    /// A copy of the embedded model, made of links, in which `edit` has changed files.
    func model(_ edit: (ModelCopy) throws -> Void) throws -> URL {
        let copy = ModelCopy(url: url.appendingPathComponent("model-\(UUID().uuidString)"))
        let manager = FileManager.default
        let all = try #require(manager.enumerator(atPath: Program.emoji.path)).compactMap { $0 as? String }
        for name in all {
            let source = Program.emoji.appendingPathComponent(name)
            var isFolder: ObjCBool = false
            guard unsafe manager.fileExists(atPath: source.path, isDirectory: &isFolder), !isFolder.boolValue else { continue }
            let target = copy.url.appendingPathComponent(name)
            try manager.createDirectory(at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
            try manager.createSymbolicLink(at: target, withDestinationURL: source)
        }
        try edit(copy)
        return copy.url
    }
}

struct ModelCopy {
    let url: URL

    func remove(_ name: String) throws { try FileManager.default.removeItem(at: url.appendingPathComponent(name)) }

    func replace(_ name: String, with content: String) throws { try replace(name, with: Data(content.utf8)) }

    func replace(_ name: String, with content: Data) throws {
        try remove(name)
        try content.write(to: url.appendingPathComponent(name))
    }

    /// Changes one value of a JSON file.
    func set(_ key: String, _ value: Any, in name: String) throws {
        let data = try Data(contentsOf: url.appendingPathComponent(name))
        var values = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        values[key] = value
        try replace(name, with: JSONSerialization.data(withJSONObject: values))
    }
}

/// Expects a refusal of wrong options: exit code 64, one line that says what is wrong, and how the command is used.
func expectUsageError(
    _ arguments: [String], saying part: String, environment: [String: String] = [:],
    sourceLocation: SourceLocation = #_sourceLocation
) throws {
    let folder = try TemporaryFolder()
    let outcome = try Program.run(arguments, in: folder, environment: environment)
    #expect(outcome.code == 64, "\(arguments)", sourceLocation: sourceLocation)
    #expect(outcome.output.isEmpty, sourceLocation: sourceLocation)
    #expect(outcome.lines.first?.hasPrefix("Error: ") == true, sourceLocation: sourceLocation)
    #expect(outcome.lines.first?.contains(part) == true, "\(outcome.messages)", sourceLocation: sourceLocation)
    #expect(outcome.lines.count { $0.hasPrefix("Error") } == 1, sourceLocation: sourceLocation)
    #expect(outcome.lines.contains { $0.hasPrefix("Usage: sd-onnx \(arguments[0])") }, sourceLocation: sourceLocation)
    #expect(folder.names.isEmpty, sourceLocation: sourceLocation)
}

/// Expects that the work fails: exit code 1, one sentence, no file.
func expectFailure(
    _ arguments: [String], saying part: String, in given: TemporaryFolder? = nil, environment: [String: String] = [:],
    sourceLocation: SourceLocation = #_sourceLocation
) throws {
    let folder = try given ?? TemporaryFolder()
    let before = folder.names
    let outcome = try Program.run(arguments, in: folder, environment: environment)
    #expect(outcome.code == 1, "\(arguments)", sourceLocation: sourceLocation)
    #expect(outcome.output.isEmpty, sourceLocation: sourceLocation)
    let errors = outcome.lines.filter { !$0.hasPrefix("Steps ") && !$0.hasPrefix("The input ") }
    #expect(errors.count == 1, "\(outcome.messages)", sourceLocation: sourceLocation)
    #expect(errors.first?.hasPrefix("Error: ") == true && errors.first?.hasSuffix(".") == true, sourceLocation: sourceLocation)
    #expect(errors.first?.contains(part) == true, "\(outcome.messages)", sourceLocation: sourceLocation)
    #expect(folder.names == before, sourceLocation: sourceLocation)
}

extension Program {
    /// What the compiler needs to find the package's modules, and the C modules that they import, among what was built in `products`.
    static func moduleOptions(_ products: URL) -> [String] {
        let built = [
            "COnnxProto", "CKernels", "CMappedFileGuard", "CSpinWait", "COpenBLASControl", "CPNGReader", "CJPEGReader",
        ].flatMap {
            module in
            ["-Xcc", "-fmodule-map-file=\(products.appendingPathComponent("\(module).build/module.modulemap").path)"]
        }
        let ofSystem = ["CProtobufC", "COpenBLAS", "CPNG", "CZlib", "CJPEG"].flatMap { module in
            ["-I", root.appendingPathComponent("Sources/\(module)").path]
        }
        return ["-I", products.appendingPathComponent("Modules").path] + built + ofSystem
    }
}
