#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

extension LoadError: LocalizedError {
    public var errorDescription: String? { description + "." }
}
