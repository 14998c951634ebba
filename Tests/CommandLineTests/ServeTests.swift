import Foundation
import Testing

/// "serve" becomes the server, which other tests test.
@Suite struct ServeTests {
    /// A copy of the program, away from where the server is built.
    private func copy(into folder: TemporaryFolder) throws -> URL {
        let program = folder["sd-onnx"]
        try FileManager.default.copyItem(at: try Program.url(), to: program)
        return program
    }

    @Test func saysWhereTheServerComesFrom() throws {
        let folder = try TemporaryFolder()
        let program = try copy(into: folder)
        let outcome = try Program.run(tool: program, ["serve", "--port", "0"], in: folder)
        #expect(outcome.code == 1 && outcome.lines.count == 1)
        #expect(
            outcome.messages.contains(
                "sd-onnx-serve, which isn't built: \"make serve\" in the project's folder builds and starts it."))
        let help = try Program.run(tool: program, ["serve", "--help"], in: folder)
        #expect(help.code == 0 && help.text.contains("USAGE: sd-onnx serve "))
    }

    @Test func passesOptionsAndSignalsOn() throws {
        let folder = try TemporaryFolder()
        let program = try copy(into: folder)
        let server = folder["sd-onnx-serve"]
        try "#!/bin/sh\nfor option; do echo \"<$option>\"; done\nkill -TERM $$\nexit 3\n".write(
            to: server, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: server.path)
        let running = try Program.start(tool: program, ["serve", "--model", "a b", "--help", "-t", "2"], in: folder)
        // It dies of the signal, which doesn't wait as it does in this program.
        #expect(try running.finish(by: SIGTERM).text == "<--model>\n<a b>\n<--help>\n<-t>\n<2>\n")
    }
}
