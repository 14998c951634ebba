import Foundation
import NIOCore

/// A form with files, as RFC 7578 defines it: `multipart/form-data`.
struct MultipartForm {
    struct Part {
        let name: String
        let isFile: Bool
        let bytes: [UInt8]
    }

    let parts: [Part]
    private static let mostParts = 100

    /// - Throws: ``APIError`` 400 for what isn't such a form.
    init(_ body: ByteBuffer, contentType: String) throws {
        func malformed(_ reason: String) -> APIError {
            APIError(.badRequest, "The form can't be read: \(reason).", code: "malformed_form")
        }
        let parameters = Self.parameters(contentType)
        guard let boundary = parameters["boundary"], (1...70).contains(boundary.utf8.count) else {
            throw malformed("its type names no boundary")
        }
        let bytes = Data(body.readableBytesView)
        let delimiter = Data("--\(boundary)".utf8)
        guard var place = bytes.range(of: delimiter)?.upperBound else { throw malformed("its boundary isn't there") }
        var parts: [Part] = []
        while true {
            let mark = bytes[place..<min(place + 2, bytes.endIndex)]
            if mark.elementsEqual("--".utf8) { break }
            guard mark.elementsEqual("\r\n".utf8) else { throw malformed("a boundary has no end of line behind it") }
            place += 2
            guard let header = bytes.range(of: Data("\r\n\r\n".utf8), in: place..<bytes.endIndex),
                header.lowerBound - place < 8192
            else {
                // A part may have no header fields, but must have a name here.
                throw malformed("a part has no header")
            }
            let text = String(decoding: bytes[place..<header.lowerBound], as: UTF8.self)
            guard let end = bytes.range(of: Data("\r\n".utf8) + delimiter, in: header.upperBound - 2..<bytes.endIndex) else {
                throw malformed("a part doesn't end")
            }
            let content = header.upperBound <= end.lowerBound ? [UInt8](bytes[header.upperBound..<end.lowerBound]) : []
            guard let part = Self.part(text, content) else { throw malformed("a part has no name") }
            guard parts.count < Self.mostParts else { throw malformed("it has more than \(Self.mostParts) parts") }
            parts.append(part)
            place = end.upperBound
        }
        self.parts = parts
    }

    private static func part(_ header: String, _ bytes: [UInt8]) -> Part? {
        for line in header.components(separatedBy: "\r\n") {
            guard let colon = line.firstIndex(of: ":"), line[..<colon].lowercased() == "content-disposition" else { continue }
            let parameters = parameters(String(line[line.index(after: colon)...]))
            guard let name = parameters["name"] else { return nil }
            return Part(name: name, isFile: parameters["filename"] != nil, bytes: bytes)
        }
        return nil
    }

    /// What follows a value behind semicolons: `name=value` or `name="value"`.
    static func parameters(_ text: String) -> [String: String] {
        var result: [String: String] = [:]
        var rest = text[...]
        while let semicolon = rest.firstIndex(of: ";") {
            rest = rest[rest.index(after: semicolon)...].drop { $0 == " " }
            guard let equals = rest.firstIndex(of: "=") else { break }
            let name = rest[..<equals].trimmingCharacters(in: .whitespaces).lowercased()
            rest = rest[rest.index(after: equals)...]
            if rest.first == "\"" {
                var value = ""
                var isEscaped = false
                rest = rest.dropFirst()
                while let character = rest.first {
                    rest = rest.dropFirst()
                    if isEscaped {
                        value.append(character)
                        isEscaped = false
                    } else if character == "\\" {
                        isEscaped = true
                    } else if character == "\"" {
                        break
                    } else {
                        value.append(character)
                    }
                }
                result[name] = value
            } else {
                result[name] = rest.prefix { $0 != ";" }.trimmingCharacters(in: .whitespaces)
            }
        }
        return result
    }

    func text(_ name: String) -> String? {
        parts.last { $0.name == name && !$0.isFile }.map { String(decoding: $0.bytes, as: UTF8.self) }
    }

    /// The files of a field, which may have `[]` behind its name.
    func files(_ name: String) -> [[UInt8]] {
        parts.filter { ($0.name == name || $0.name == name + "[]") && $0.isFile }.map(\.bytes)
    }
}
