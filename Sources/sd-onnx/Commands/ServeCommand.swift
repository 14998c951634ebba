import ArgumentParser
import Foundation

/// Becomes the server, which is a program of its own so that this one needs no HTTP packages.
struct ServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Makes pictures for programs and people, by HTTP.",
        discussion: """
            Runs sd-onnx-serve, from this program's folder or, in a checkout, from where "make serve" builds it. Options are those of that \
            program: "sd-onnx serve --help" lists them once it is built.
            """)

    @Argument(parsing: .captureForPassthrough, help: "The server's options.")
    var options: [String] = []

    func run() throws {
        guard let server = Self.candidates.first(where: { FileManager.default.isExecutableFile(atPath: $0.path) }) else {
            if options.contains(where: { ["--help", "-h"].contains($0) }) { throw CleanExit.helpRequest(self) }
            throw CommandFailure(
                "The server is a program of its own, sd-onnx-serve, which isn't built: \"make serve\" in the project's folder builds and starts it."
            )
        }
        let arguments = [server.path] + options
        var pointers: [UnsafeMutablePointer<CChar>?] = unsafe arguments.map { unsafe strdup($0) } + [nil]
        Interruption.leave()
        unsafe execv(server.path, &pointers)
        throw CommandFailure("\(server.path) can't be started: \(unsafe String(cString: strerror(errno))).")
    }

    /// Beside the program, and in the checkout that it was built in.
    private static var candidates: [URL] {
        let program = Bundle.main.executableURL?.resolvingSymlinksInPath() ?? URL(fileURLWithPath: CommandLine.arguments[0])
        var folder = program.deletingLastPathComponent()
        var result = [folder.appendingPathComponent("sd-onnx-serve")]
        while folder.path != "/" {
            result.append(folder.appendingPathComponent("Server/.build/release/sd-onnx-serve"))
            folder.deleteLastPathComponent()
        }
        return result
    }
}
