import Foundation

/// What a request may take of the machine.
struct ServerLimits: Sendable, Codable {
    /// Pixels of a picture that is made.
    var pixels = 2048 * 2048
    /// Steps of a run.
    var steps = 150
    /// Pictures of a request.
    var batch = 16
    /// Jobs that wait.
    var queue = 32
    /// Bytes of a request's body.
    var body = 32 << 20
    /// Characters of a prompt.
    var prompt = 20_000

    /// Pixels of a picture that is read: larger ones are made smaller.
    var inputPixels: Int { 4 * pixels }

    /// Bytes of all bodies that are being read at once.
    var bodies: Int { max(8 * body, 256 << 20) }

    /// Bytes of results that are kept for clients to fetch; the oldest go first.
    static let keptBytes = 512 << 20
    /// Bytes of a request's header, and how many fields it may have.
    static let headerBytes = 32 << 10
    static let headerFields = 100
    /// How long a connection may take to send a header, or may be idle between requests.
    static let idleSeconds: Int64 = 15
    /// How long a body may take to arrive.
    static let bodySeconds: Int64 = 60
    /// How long a client may take to accept a part of an answer.
    static let writeSeconds: Int64 = 60
    /// Connections at once; others wait until one of them ends.
    static let connections = 2000
}
