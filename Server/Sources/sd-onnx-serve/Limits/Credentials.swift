import Foundation
import HTTPTypes

/// Who may use the server: whoever has the key, or the user's name and password. With neither, everyone who reaches it.
struct Credentials: Sendable {
    var key: String?
    /// `user:password`.
    var userAndPassword: String?

    var isOpen: Bool { key == nil && userAndPassword == nil }

    /// Whether a request's headers have the key (`Authorization: Bearer`, `X-API-Key`) or the user's name and password (`Authorization: Basic`).
    func allow(_ headers: HTTPFields) -> Bool {
        if isOpen { return true }
        var isKnown = false
        if let key, let name = HTTPField.Name("X-API-Key"), let given = headers[name] {
            isKnown = Self.isEqual(given, key) || isKnown
        }
        if let authorization = headers[.authorization] {
            let parts = authorization.split(separator: " ", maxSplits: 1)
            let value = parts.count == 2 ? parts[1].trimmingCharacters(in: .whitespaces) : ""
            switch parts.first?.lowercased() {
            case "bearer": if let key { isKnown = Self.isEqual(value, key) || isKnown }
            case "basic":
                if let userAndPassword, let data = Data(base64Encoded: value) {
                    isKnown = Self.isEqual([UInt8](data), [UInt8](userAndPassword.utf8)) || isKnown
                }
            default: break
            }
        }
        return isKnown
    }

    private static func isEqual(_ given: String, _ expected: String) -> Bool {
        isEqual([UInt8](given.utf8), [UInt8](expected.utf8))
    }

    /// Takes as long for every value of a length, so that the time tells nothing of how much of it is right.
    static func isEqual(_ given: [UInt8], _ expected: [UInt8]) -> Bool {
        var difference = UInt8(given.count == expected.count ? 0 : 1)
        for index in given.indices {
            difference |= given[index] ^ (expected.isEmpty ? 1 : expected[index % expected.count])
        }
        return difference == 0
    }
}
