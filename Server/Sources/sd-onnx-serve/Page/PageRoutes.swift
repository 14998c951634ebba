import HTTPTypes
import Hummingbird

/// The page, whose files are in the program.
struct PageRoutes: Sendable {
    let services: Services

    private static let policy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

    func add(to router: Router<ServerContext>) {
        // Where a name and a password are asked for, the browser asks for them when it opens the page, and sends them with all that follows.
        let credentials = services.credentials.key == nil ? services.credentials : Credentials()
        let group = router.group()
            .add(middleware: ErrorMiddleware(render: OwnError.text))
            .add(middleware: AuthorizationMiddleware(credentials: credentials))
        let files: [(path: RouterPath, bytes: [UInt8], type: String)] = [
            ("/", PackageResources.page_html, "text/html; charset=utf-8"),
            ("/page.css", PackageResources.page_css, "text/css; charset=utf-8"),
            ("/page.js", PackageResources.page_js, "text/javascript; charset=utf-8"),
            ("/mask.js", PackageResources.mask_js, "text/javascript; charset=utf-8"),
            ("/gallery.js", PackageResources.gallery_js, "text/javascript; charset=utf-8"),
            ("/icon.svg", PackageResources.icon_svg, "image/svg+xml"),
            ("/openapi.json", PackageResources.openapi_json, "application/json"),
        ]
        for file in files {
            group.get(file.path) { _, _ in
                var headers: HTTPFields = [.cacheControl: "no-cache"]
                if let name = HTTPField.Name("Content-Security-Policy") { headers[name] = Self.policy }
                return Response.bytes(file.bytes, type: file.type, headers: headers)
            }
        }
    }
}
