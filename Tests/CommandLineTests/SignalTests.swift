import Foundation
import Testing

@Suite struct SignalTests {
    /// A run that only a signal ends in time.
    private static let long = "generate 'a fox' --steps 900 -b 2 -o x-%d.png --save-latents x.npy"

    /// A signal at any moment of the start ends the program: before its first line, while options are read, while graphs are loaded.
    @Test func noSignalOfTheStartIsLost() throws {
        let folder = try TemporaryFolder()
        // Each round waits a little longer before the signal; a lost one shows as a run that the last resort ends.
        let outcome = try Program.shell(
            """
            i=0
            while [ $i -lt 150 ]; do
                "$P" \(Self.long) 2>messages & pid=$!
                sleep $(printf '0.%03d' $((i / 2)))
                kill -TERM $pid
                ( sleep 20; kill -KILL $pid ) 2>/dev/null & watch=$!
                wait $pid; echo $?
                kill $watch; wait $watch
                i=$((i + 1))
            done
            """, in: folder)
        let codes = outcome.text.split(separator: "\n")
        #expect(codes.count == 150)
        #expect(Set(codes) == ["143"], "\(codes)")
        #expect(folder.names == ["messages"])
    }

    /// The program dies of the signal, as a shell expects that is to end a loop with it, and says that nothing is left.
    @Test(arguments: [("INT", 2), ("TERM", 15), ("HUP", 1)]) func diesOfTheSignal(name: String, number: Int32) throws {
        let folder = try TemporaryFolder()
        let running = try Program.startDefault(signals: ["INT", "TERM", "HUP"], Self.long, in: folder)
        try running.waitForMessages()
        kill(running.process.processIdentifier, number)
        let outcome = try running.finish(by: number)
        #expect(outcome.lines.last == "Interrupted; no file was left half written.")
        #expect(folder.names.isEmpty)
    }

    /// A loop of a script ends with the run that Ctrl-C ends: the interrupt goes to all processes of the terminal.
    @Test func endsTheLoopOfAScript() throws {
        let folder = try TemporaryFolder()
        try """
        for i in 1 2 3; do echo $i >>rounds; "$P" \(Self.long) 2>messages; done
        echo after >>rounds
        """.write(to: folder["loop.sh"], atomically: true, encoding: .utf8)
        // A process that is started here leads a group of its own.
        let running = try Program.startShell("exec env --default-signal=INT bash loop.sh", in: folder)
        let deadline = Date(timeIntervalSinceNow: 600)
        while ((try? Data(contentsOf: folder["messages"])) ?? Data()).isEmpty, Date() < deadline { usleep(20_000) }
        kill(-running.process.processIdentifier, SIGINT)
        _ = try running.finish(by: SIGINT)
        #expect(try String(contentsOf: folder["rounds"], encoding: .utf8) == "1\n")
    }

    /// What nohup and shells without job control have a process ignore stays ignored.
    @Test func ignoredSignalsStayIgnored() throws {
        let folder = try TemporaryFolder()
        let outcome = try Program.shell(
            """
            trap '' HUP INT
            "$P" generate 'a fox' --steps 60 --seed 1 -o x.png 2>messages & pid=$!
            while [ ! -s messages ]; do sleep 0.02; done
            kill -HUP $pid; kill -INT $pid
            wait $pid; echo $?
            """, in: folder)
        #expect(outcome.text == "0\n")
        #expect(folder.names == ["messages", "x.png"])
        let asked = try Program.shell(
            "trap '' HUP; \"$P\" \(Self.long) 2>asked & sleep 3; kill $!; wait $!; echo $?",
            in: folder)
        #expect(asked.text == "143\n")
    }

    /// Outputs are tried with temporary files: a signal meanwhile leaves none.
    @Test func leavesNothingWhileOutputsAreTried() throws {
        let folder = try TemporaryFolder()
        let outcome = try Program.shell(
            """
            for delay in 0.02 0.03 0.04 0.05 0.06 0.07 0.08 0.09 0.1 0.12 0.15 0.2 0.25 0.3; do
                "$P" generate x --steps 900 -b 4096 -o x-%d.png 2>/dev/null & pid=$!
                sleep $delay; kill $pid; wait $pid; echo $?
            done
            """, in: folder)
        #expect(Set(outcome.text.split(separator: "\n")) == ["143"])
        #expect(folder.names.isEmpty)
    }

    /// A file beyond the shell's limit is an error with a sentence; none is left, and one that was there stays.
    @Test func fileBeyondTheLimitIsAnError() throws {
        let folder = try TemporaryFolder()
        try Data("old".utf8).write(to: folder["x.png"])
        let outcome = try Program.shell(
            "ulimit -f 1; \"$P\" generate x --steps 1 --quiet -o x.png --save-latents y.npy", in: folder)
        #expect(outcome.code == 1)
        #expect(outcome.lines.count == 1)
        #expect(
            outcome.messages.hasSuffix(
                "can't be written: it would be larger than the limit on the size of files (ulimit -f).\n"))
        #expect(folder.names == ["x.png"])
        #expect(try String(contentsOf: folder["x.png"], encoding: .utf8) == "old")
    }

    @Test func saysThatProcessorTimeIsOver() throws {
        let folder = try TemporaryFolder()
        let outcome = try Program.shell("ulimit -S -t 1; \"$P\" \(Self.long); echo $?", in: folder)
        #expect(outcome.text == "152\n")
        #expect(outcome.messages.contains("Ended at the limit on processor time (ulimit -t); no file was left half written."))
        #expect(folder.names.filter { !$0.hasPrefix("core") }.isEmpty)
    }

    /// Standard error that nobody empties doesn't keep the program alive.
    @Test func endsThoughNobodyReadsItsMessages() throws {
        let folder = try TemporaryFolder()
        let outcome = try Program.shell(
            """
            mkfifo full; ( exec 3<full; sleep 30 ) & reader=$!
            exec 4>full
            # Fills the pipe.
            ( head -c 1000000 /dev/zero >&4 ) & filler=$!
            sleep 0.5; kill $filler
            "$P" \(Self.long) --quiet 2>&4 & pid=$!
            sleep 1; kill $pid
            ( sleep 20; kill -KILL $pid ) & watch=$!
            wait $pid; echo $?
            kill $watch $reader
            """, in: folder)
        #expect(outcome.text == "143\n")
    }
}
