import Foundation
import SDPipeline
import TestSupport
import Testing

@Suite struct AtomicFileTests {
    private static func mode(_ url: URL) throws -> mode_t {
        var status = stat()
        unsafe try #require(lstat(url.path, &status) == 0)
        return status.st_mode & 0o7777
    }

    private static func refusal(_ files: [(bytes: [UInt8], url: URL)]) throws -> String {
        try #require(throws: AtomicFile.WriteError.self) { try AtomicFile.write(files) }.description
    }

    @Test(arguments: [0o600, 0o640, 0o664, 0o755] as [mode_t]) func keepsTheMode(mode: mode_t) throws {
        let folder = try TemporaryFolder()
        let file = folder.url.appending(path: "file")
        try AtomicFile.write([1], to: file)
        unsafe #expect(chmod(file.path, mode) == 0)
        try AtomicFile.write([2], to: file)
        #expect(try Self.mode(file) == mode)
        #expect(try Data(contentsOf: file) == Data([2]))
    }

    /// A new file has the mode that the process's mask leaves.
    @Test func newFilesFollowTheMask() throws {
        let folder = try TemporaryFolder()
        let file = folder.url.appending(path: "file")
        try AtomicFile.write([1], to: file)
        let plain = folder.url.appending(path: "plain")
        unsafe close(open(plain.path, O_CREAT | O_WRONLY, 0o666))
        #expect(try Self.mode(file) == Self.mode(plain))
    }

    @Test func keepsTheGroupAndOwner() throws {
        guard geteuid() == 0 else { return }
        let folder = try TemporaryFolder()
        let file = folder.url.appending(path: "file")
        try AtomicFile.write([1], to: file)
        unsafe #expect(chown(file.path, 1234, 4321) == 0)
        try AtomicFile.write([2], to: file)
        var status = stat()
        unsafe #expect(stat(file.path, &status) == 0)
        #expect(status.st_uid == 1234 && status.st_gid == 4321)
    }

    @Test func refusesReadOnlyFiles() throws {
        let folder = try TemporaryFolder()
        let (first, second) = (folder.url.appending(path: "first"), folder.url.appending(path: "second"))
        try AtomicFile.write([([1], first), ([1], second)])
        unsafe #expect(chmod(second.path, 0o444) == 0)
        let expected = "\(second.path) can't be written: it is read-only."
        #expect(try Self.refusal([([2], first), ([2], second)]) == expected)
        expectError(expected) { try AtomicFile.check([first, second]) }
        #expect(try Data(contentsOf: first) == Data([1]) && Data(contentsOf: second) == Data([1]))
        #expect(try folder.content == ["first", "second"])
    }

    /// The given name gets the new content, the other names keep the old one.
    @Test func cutsHardLinks() throws {
        let folder = try TemporaryFolder()
        let (file, backup) = (folder.url.appending(path: "file"), folder.url.appending(path: "backup"))
        try AtomicFile.write([1], to: file)
        unsafe #expect(link(file.path, backup.path) == 0)
        try AtomicFile.write([2], to: file)
        #expect(try Data(contentsOf: file) == Data([2]) && Data(contentsOf: backup) == Data([1]))
    }

    @Test func makesWhatALinkNames() throws {
        let folder = try TemporaryFolder()
        let inner = folder.url.appending(path: "inner")
        try FileManager.default.createDirectory(at: inner, withIntermediateDirectories: true)
        for (name, target) in [("a", "b"), ("b", "inner/c"), ("loop", "pool"), ("pool", "loop"), ("nowhere", "no/file")] {
            unsafe #expect(symlink(target, folder.url.appending(path: name).path) == 0)
        }
        try AtomicFile.check(folder.url.appending(path: "a"))
        try AtomicFile.write([3], to: folder.url.appending(path: "a"))
        #expect(try Data(contentsOf: inner.appending(path: "c")) == Data([3]))
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: folder.url.appending(path: "a").path) == "b")
        #expect(try folder.content == ["a", "b", "inner", "loop", "nowhere", "pool"])
        #expect(try Self.refusal([([1], folder.url.appending(path: "loop"))]).contains("Too many levels of symbolic links"))
        #expect(try Self.refusal([([1], folder.url.appending(path: "nowhere"))]).contains("there is no folder"))
    }

    /// Where one of several can't be written, no other has changed, and what was new is gone.
    @Test func writesAllOrNone() throws {
        let folder = try TemporaryFolder()
        let names = ["old", "new", "full"].map { folder.url.appending(path: $0) }
        try AtomicFile.write([1], to: names[0])
        unsafe #expect(symlink("/dev/full", names[2].path) == 0)
        #expect(try Self.refusal(names.map { ([2], $0) }).contains("No space left on device"))
        #expect(try Data(contentsOf: names[0]) == Data([1]))
        #expect(try folder.content == ["full", "old"])
    }

    /// Nor where one can't get its name, though the content of all is on the disk.
    @Test func renamesAllOrNone() throws {
        let folder = try TemporaryFolder()
        let paths = ["old", "new", "taken"].map { folder.url.appending(path: $0).path }
        try AtomicFile.write([1], to: URL(filePath: paths[0]))
        try FileManager.default.createDirectory(atPath: paths[2], withIntermediateDirectories: true)
        let replacements = try paths.map { path in
            let (temporary, descriptor) = try TemporaryFiles.shared.create(beside: path, replacing: nil, given: path)
            close(descriptor)
            return TemporaryFiles.Replacement(
                temporary: temporary, path: path, given: path, exists: FileManager.default.fileExists(atPath: path))
        }
        let error = #expect(throws: AtomicFile.WriteError.self) { try TemporaryFiles.shared.rename(replacements) }
        #expect(error?.description == "\(paths[2]) can't be written: Is a directory.")
        #expect(try Data(contentsOf: URL(filePath: paths[0])) == Data([1]))
        // Not all that there are: other tests write files meanwhile.
        TemporaryFiles.shared.remove(replacements.map(\.temporary))
        #expect(try folder.content == ["old", "taken"])
    }

    @Test func removesWhatIsStaleWithTheRest() throws {
        let folder = try TemporaryFolder()
        let (old, new) = (folder.url.appending(path: "old"), folder.url.appending(path: "new"))
        try AtomicFile.write([1], to: old)
        expectError("/no/file can't be written: there is no folder") {
            try AtomicFile.write([([1], folder.url.appending(path: "no/file"))], removing: [old])
        }
        #expect(try folder.content == ["old"])
        try AtomicFile.write([([1], new)], removing: [old])
        #expect(try folder.content == ["new"])
    }

    @Test func writesToPipes() throws {
        let folder = try TemporaryFolder()
        let pipe = folder.url.appending(path: "pipe")
        unsafe #expect(mkfifo(pipe.path, 0o600) == 0)
        try AtomicFile.check(pipe)
        let reader = unsafe open(pipe.path, O_RDONLY | O_NONBLOCK)
        defer { close(reader) }
        try AtomicFile.write([7, 8], to: pipe)
        var bytes = [UInt8](repeating: 0, count: 4)
        unsafe #expect(read(reader, &bytes, 4) == 2)
        #expect(bytes == [7, 8, 0, 0])
        #expect(try folder.content == ["pipe"])
    }

    @Test func writesToOpenDescriptors() throws {
        let folder = try TemporaryFolder()
        let file = folder.url.appending(path: "file")
        let descriptor = unsafe open(file.path, O_CREAT | O_RDWR | O_APPEND, 0o600)
        defer { close(descriptor) }
        try AtomicFile.write([1], to: URL(filePath: "/dev/fd/\(descriptor)"))
        try AtomicFile.write([2], to: URL(filePath: "/dev/fd/\(descriptor)"))
        #expect(try Data(contentsOf: file) == Data([1, 2]))
        #expect(try Self.refusal([([1], URL(filePath: "/dev/fd/1000"))]).contains("Bad file descriptor"))
    }

    @Test func tellsWhetherAFolderCanBeMade() throws {
        let folder = try TemporaryFolder()
        try AtomicFile.write([1], to: folder.url.appending(path: "file"))
        try AtomicFile.checkFolder(folder.url.appending(path: "a/b/c"))
        try AtomicFile.checkFolder(folder.url)
        for (path, reason) in [("file", "is a file, expected a folder"), ("file/a", "is a file, expected a folder")] {
            let error = #expect(throws: AtomicFile.WriteError.self) {
                try AtomicFile.checkFolder(folder.url.appending(path: path))
            }
            #expect(error?.description.contains(reason) == true)
        }
        expectError("/proc/sd-onnx/steps can't be written: No such file or directory") {
            try AtomicFile.checkFolder(URL(filePath: "/proc/sd-onnx/steps"))
        }
        #expect(try folder.content == ["file"])
    }

    /// A name that ends with a slash is a folder's.
    @Test func refusesFolders() throws {
        let folder = try TemporaryFolder()
        #expect(try Self.refusal([([1], folder.url)]).contains("it is a folder"))
        let missing = URL(fileURLWithPath: folder.url.path + "/missing/")
        #expect(try Self.refusal([([1], missing)]).contains("there is no folder"))
    }
}
