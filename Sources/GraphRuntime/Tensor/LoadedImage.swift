import Foundation

/// The file of the program or library that this code was loaded from.
enum LoadedImage {
    /// Its path; nil where the system doesn't say.
    static var path: String? {
        #if canImport(Darwin)
            var information = Dl_info()
            guard unsafe dladdr(#dsohandle, &information) != 0, let name = unsafe information.dli_fname else { return nil }
            return unsafe String(cString: name)
        #else
            // proc(5): "start-end permissions offset device inode path".
            let address = UInt(bitPattern: #dsohandle)
            guard let maps = FileManager.default.contents(atPath: "/proc/self/maps") else { return nil }
            for line in String(decoding: maps, as: UTF8.self).split(separator: "\n") {
                let fields = line.split(separator: " ", maxSplits: 5)
                let ends = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
                if ends.count == 2, ends[0] <= address, address < ends[1] {
                    return fields.count == 6 ? fields[5].trimmingCharacters(in: .whitespaces) : nil
                }
            }
            return nil
        #endif
    }
}
