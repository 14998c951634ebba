import Foundation

/// The form that errors of the own API have.
struct OwnError: Encodable {
    struct Content: Encodable {
        let message: String
        let code: String
        let field: String?
    }
    let error: Content

    init(_ error: APIError) { self.error = Content(message: error.message, code: error.code, field: error.field) }

    static func text(_ error: APIError) -> String { (try? JSONAnswer.text(OwnError(error))) ?? "{}" }
}
