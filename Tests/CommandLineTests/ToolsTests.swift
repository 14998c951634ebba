import Foundation
import Testing

@Suite struct ToolsTests {
    /// A script that names its interpreter can be run as the documents say.
    @Test func scriptsAreExecutable() throws {
        let tools = Program.root.appendingPathComponent("Tools")
        let names = try #require(FileManager.default.enumerator(atPath: tools.path)).compactMap { $0 as? String }
        let scripts = names.filter { $0.hasSuffix(".sh") || $0.hasSuffix(".py") }
        #expect(scripts.contains("dump-intermediates.py"))
        for name in scripts {
            let path = tools.appendingPathComponent(name).path
            let isScript = try Data(contentsOf: URL(fileURLWithPath: path)).starts(with: Data("#!".utf8))
            #expect(isScript == FileManager.default.isExecutableFile(atPath: path), "\(name)")
        }
    }
}
