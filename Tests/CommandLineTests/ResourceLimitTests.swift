import Foundation
import SDPipeline
import TestSupport
import Testing

#if os(Linux)
    @Suite struct ResourceLimitTests {
        /// The threads are those of the pool and the one that waits for signals: OpenBLAS starts none, whatever the environment says,
        /// and reserves no memory for any.
        @Test func noSecondPoolExists() throws {
            let folder = try TemporaryFolder()
            for threads in [1, 3] {
                let running = try Program.start(
                    ["generate", "a fox", "--steps", "900", "-b", "2", "--threads", "\(threads)"], in: folder,
                    environment: ["OPENBLAS_NUM_THREADS": "7", "OMP_NUM_THREADS": "7"])
                try running.waitForMessages()
                let process = "/proc/\(running.process.processIdentifier)"
                let tasks = try FileManager.default.contentsOfDirectory(atPath: process + "/task")
                let status = try String(contentsOfFile: process + "/status", encoding: .utf8)
                running.process.terminate()
                _ = try running.finish(by: SIGTERM)
                #expect(tasks.count == threads + 1)
                let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmPeak:") })
                let kilobytes = try #require(Int(line.split(whereSeparator: \.isWhitespace)[1]))
                // The program and its model take some 300 MB; each of our threads a stack, a heap and, while it calls OpenBLAS, a
                // buffer.
                #expect(kilobytes < 400_000 + threads * 220_000)
            }
        }

        /// Files of arrays ask for their memory first.
        @Test func refusesArraysWithoutMemory() throws {
            let folder = try TemporaryFolder()
            // A hole of 300 MB.
            let count = 75_000_000
            var text = "{'descr': '<f4', 'fortran_order': False, 'shape': (\(count / 3), 3), }"
            text += String(repeating: " ", count: 118 - 1 - text.utf8.count) + "\n"
            let start: [UInt8] = [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59, 1, 0, 118, 0] + Array(text.utf8)
            try Data(start).write(to: folder["a.npy"])
            let file = try FileHandle(forWritingTo: folder["a.npy"])
            try file.truncate(atOffset: UInt64(start.count + 4 * count))
            try file.close()
            let model = Program.fixtures.appendingPathComponent("names.onnx").path
            var refused = 0
            for megabytes in [350, 500, 650, 800, 1000, 1200, 1400] {
                let outcome = try Program.shell(
                    "ulimit -v \(megabytes * 1000); \"$P\" run '\(model)' --output-dir out -i a=a.npy -i b=a.npy", in: folder)
                #expect(
                    outcome.code == 1 && outcome.lines.count == 1, "at \(megabytes) MB: \(outcome.code) \(outcome.messages)")
                if outcome.messages.contains("there is too little memory for it") { refused += 1 }
            }
            #expect(refused >= 3)
        }

        /// With little address space a run fails with a sentence, or makes the picture; it doesn't try for ever.
        @Test func endsUnderALimitOfAddressSpace() throws {
            let folder = try TemporaryFolder()
            let arguments = "generate 'a fox' --steps 2 --seed 7 --threads 2 --quiet"
            #expect(try Program.shell("\"$P\" \(arguments) -o free.png", in: folder).code == 0)
            let free = try PNGFile.read(folder["free.png"])
            var made = 0
            for megabytes in stride(from: 180, through: 560, by: 20) {
                let outcome = try Program.shell(
                    "ulimit -v \(megabytes * 1000); timeout -s KILL 600 \"$P\" \(arguments) -o x.png; echo $?", in: folder)
                let code = outcome.text.trimmingCharacters(in: .whitespacesAndNewlines)
                #expect(code != "137", "at \(megabytes) MB the run didn't end")
                guard code == "0" else { continue }
                made += 1
                let picture = try PNGFile.read(folder["x.png"])
                expectClose(picture.pixels, free.pixels, shape: [64, 64, 3], within: 2, "at \(megabytes) MB")
            }
            #expect(made > 0)
        }
    }
#endif
