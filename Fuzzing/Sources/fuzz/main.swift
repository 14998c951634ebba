// fuzz TARGET [options of libFuzzer] [folders of inputs]: see Tools/fuzz.sh, which builds and calls it.
import CLibFuzzer
import Foundation

/// The target that the first argument names.
enum Chosen {
    static let target: FuzzTarget? = CommandLine.arguments.dropFirst().first.flatMap { name in
        FuzzTarget.all.first { $0.name == name }
    }
}

guard Chosen.target != nil else {
    let names = FuzzTarget.all.map(\.name).joined(separator: ", ")
    FileHandle.standardError.write(Data("fuzz: name a target: \(names)\n".utf8))
    exit(64)
}
// libFuzzer must not take the target's name for a folder.
let given = [CommandLine.arguments[0]] + CommandLine.arguments.dropFirst(2)
var count = Int32(given.count)
var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = .allocate(capacity: given.count + 1)
for (index, argument) in given.enumerated() { arguments?[index] = strdup(argument) }
arguments?[given.count] = nil
exit(
    LLVMFuzzerRunDriver(&count, &arguments) { data, size in
        Chosen.target?.run([UInt8](UnsafeBufferPointer(start: data, count: size)))
        return 0
    })
