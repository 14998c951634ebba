/// How far a number may lie from the one that is expected: what ``absolute``, ``relative`` and ``ofLargest`` allow, added up.
public struct Tolerance: Sendable {
    /// Allowed for every element.
    public var absolute: Double
    /// Allowed for an element, as a part of the expected element's own magnitude.
    public var relative: Double
    /// Allowed for every element, as a part of the largest finite magnitude in the whole array.
    public var ofLargest: Double

    public init(absolute: Double = 0, relative: Double = 0, ofLargest: Double = 0) {
        self.absolute = absolute
        self.relative = relative
        self.ofLargest = ofLargest
    }

    /// The same numbers, though not the same bits: 0 is -0, and every NaN is NaN.
    public static let exact = Tolerance()
}
