import TestSupport
import Testing

/// What comparisons of arrays say when they fail.
@Suite struct ArrayDifferenceTests {
    @Test func namesTheFirstAndTheWorstElement() {
        let found: [Float] = [0, 1, 2.25, 3, 4.5, 5]
        let expected: [Double] = [0, 1, 2, 3, 4, 5]
        let text = "2 of 6 elements of shape [2, 3] differ; first [0, 2]: found 2.25, expected 2.0"
        #expect(
            ArrayDifference.between(found, expected, shape: [2, 3], within: .exact)
                == text + "; most [1, 1]: found 4.5, expected 4.0")
        #expect(ArrayDifference.between(found, expected, shape: [2, 3], within: Tolerance(absolute: 0.5)) == nil)
        #expect(ArrayDifference.between(found, expected, shape: [2, 3], within: Tolerance(relative: 0.125)) == nil)
        #expect(ArrayDifference.between(found, expected, shape: [2, 3], within: Tolerance(ofLargest: 0.1)) == nil)
        #expect(
            ArrayDifference.between([1, 2, 3], [1, 2, 4])
                == "1 of 3 elements of shape [3] differ; first [2]: found 3, expected 4")
        #expect(
            ArrayDifference.between(["a", "b"], ["c", "d"])
                == "2 of 2 elements of shape [2] differ; first [0]: found a, expected c")
    }

    @Test func counts() {
        #expect(ArrayDifference.between([1, 2], [1], shape: [1]) == "found 2 elements, expected 1 of shape [1]")
        #expect(ArrayDifference.between([Int](), []) == nil)
        #expect(ArrayDifference.between([Float](), [Float](), shape: [2, 0], within: .exact) == nil)
    }

    @Test func takesNothingForNaNAndInfinity() {
        let tolerance = Tolerance(absolute: 1e30, relative: 1, ofLargest: 1)
        let special: [Float] = [.nan, .infinity, -.infinity]
        #expect(ArrayDifference.between(special, special, within: tolerance) == nil)
        #expect(ArrayDifference.between(special, special) == nil)
        for (found, expected) in [(Float.nan, Float(0)), (0, .nan), (.infinity, 0), (0, .infinity), (.infinity, -.infinity)] {
            #expect(ArrayDifference.between([found], [expected], within: tolerance) != nil, "\(found) \(expected)")
            #expect(ArrayDifference.between([found], [expected]) != nil, "\(found) \(expected)")
        }
    }
}
