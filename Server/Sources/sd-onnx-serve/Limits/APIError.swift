import Hummingbird
import SDPipeline

/// What a request is refused with, in no API's form: each API writes it in its own.
struct APIError: Error {
    var status: HTTPResponse.Status
    /// One sentence for a person.
    var message: String
    /// The field that is wrong, as the client named it; nil where it isn't one.
    var field: String?
    /// A short name for programs.
    var code: String
    /// After how many seconds it is worth trying again.
    var retryAfter: Int?
    /// The methods that the address takes, where it was another.
    var allowed: [HTTPRequest.Method] = []
    /// Whether the connection ends with the answer, which the client must be told: it would send the next request on it.
    var endsConnection = false

    init(
        _ status: HTTPResponse.Status, _ message: String, field: String? = nil, code: String? = nil, retryAfter: Int? = nil,
        allowed: [HTTPRequest.Method] = []
    ) {
        self.status = status
        self.message = message
        self.field = field
        self.code = code ?? Self.code(status)
        self.retryAfter = retryAfter
        self.allowed = allowed
    }

    /// A field with a value that isn't taken.
    static func invalid(_ field: String, _ message: String) -> APIError {
        APIError(.unprocessableContent, message, field: field, code: "invalid_field")
    }

    /// What any error of the library or of the HTTP server means for a client.
    init(_ error: any Error) {
        switch error {
        case let error as APIError: self = error
        case let error as PipelineError:
            switch error.kind {
            case .invalidRequest: self.init(.unprocessableContent, error.message, code: "invalid_request")
            case .outOfMemory: self.init(.unprocessableContent, error.message, code: "out_of_memory")
            default: self.init(.internalServerError, error.message, code: "failed")
            }
        case let error as SchedulerError: self.init(.unprocessableContent, "\(error)", code: "invalid_request")
        case let error as TokenizerError: self.init(.unprocessableContent, "\(error)", code: "invalid_request")
        case let error as ImageError: self.init(.unprocessableContent, error.description, code: "invalid_picture")
        case let error as any HTTPResponseError:
            self.init(error.status, Self.sentence(error), code: Self.code(error.status))
        default: self.init(.internalServerError, "The request failed.", code: "failed")
        }
    }

    private static func sentence(_ error: any HTTPResponseError) -> String {
        if let message = (error as? HTTPError)?.body, !message.isEmpty { return message }
        return error.status == .notFound ? "There is nothing at this address." : error.status.reasonPhrase
    }

    private static func code(_ status: HTTPResponse.Status) -> String {
        switch status.code {
        case 400: "bad_request"
        case 401: "unauthorized"
        case 403: "forbidden"
        case 404: "not_found"
        case 405: "method_not_allowed"
        case 408: "timeout"
        case 409: "conflict"
        case 410: "gone"
        case 413: "too_large"
        case 422: "invalid_request"
        case 503: "unavailable"
        default: "failed"
        }
    }

    /// The headers that go with it in every form.
    var headers: HTTPFields {
        var fields: HTTPFields = [.contentType: "application/json"]
        if let retryAfter { fields[.retryAfter] = "\(retryAfter)" }
        if !allowed.isEmpty { fields[.allow] = allowed.map(\.rawValue).joined(separator: ", ") }
        if status == .unauthorized { fields[.wwwAuthenticate] = "Basic realm=\"sd-onnx\", charset=\"UTF-8\"" }
        if endsConnection || status == .contentTooLarge || status == .requestTimeout { fields[.connection] = "close" }
        return fields
    }
}
