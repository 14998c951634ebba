import GraphRuntime
import TestSupport
import Testing

/// Einsum against one loop over all labels.
@Suite struct EinsumTests {
    /// Sums products over every assignment of indices to the letters of an explicit equation without ellipses.
    private static func oracle(_ equation: String, _ inputs: [Tensor]) throws -> [Double] {
        let sides = equation.split(separator: ">", omittingEmptySubsequences: false)
        let terms = sides[0].dropLast().split(separator: ",", omittingEmptySubsequences: false).map(Array.init)
        let output = Array(sides[1])
        var extents: [Character: Int] = [:]
        for (term, tensor) in zip(terms, inputs) {
            for (letter, extent) in zip(term, tensor.shape.dimensions) { extents[letter] = max(extents[letter] ?? 1, extent) }
        }
        if inputs.contains(where: { $0.count == 0 }) {
            for letter in extents.keys { extents[letter] = min(extents[letter] ?? 0, 9) }
        }
        let letters = extents.keys.sorted()
        let values = try inputs.map { try $0.array(of: Float.self) }
        var result = [Double](repeating: 0, count: output.reduce(1) { $0 * (extents[$1] ?? 1) })
        var places: [Character: Int] = [:]
        func place(_ term: [Character], _ dimensions: [Int]) -> Int {
            zip(term, dimensions).reduce(0) { $0 * $1.1 + ($1.1 == 1 ? 0 : places[$1.0] ?? 0) }
        }
        func visit(_ depth: Int) {
            guard depth < letters.count else {
                let product = zip(zip(terms, inputs), values).reduce(1.0) {
                    $0 * Double($1.1[place($1.0.0, $1.0.1.shape.dimensions)])
                }
                result[place(output, output.map { extents[$0] ?? 1 })] += product
                return
            }
            for index in 0..<(extents[letters[depth]] ?? 1) {
                places[letters[depth]] = index
                visit(depth + 1)
            }
        }
        visit(0)
        return result
    }

    @Test(arguments: [
        ("ij,jk->ik", [[3, 5], [5, 7]]), ("bij,bjk->bik", [[2, 3, 5], [2, 5, 4]]),
        ("bhld,bhsd->bhls", [[2, 3, 5, 4], [2, 3, 6, 4]]),
        ("blhd,bshd->bhls", [[2, 5, 3, 4], [2, 6, 3, 4]]), ("ii->i", [[4, 4]]), ("ii->", [[4, 4]]), ("ij->ji", [[3, 5]]),
        ("ij->j", [[3, 5]]), ("i,j->ij", [[3], [4]]), ("i,i->", [[7], [7]]), ("ij,ij,jk->k", [[3, 4], [3, 4], [4, 2]]),
        ("aib,bjc,cka->ijk", [[2, 3, 4], [4, 2, 3], [3, 2, 2]]), ("iji,j->i", [[3, 4, 3], [4]]),
        ("ij,jk->ik", [[1, 5], [1, 2]]),
        ("ijk->kji", [[1, 1, 1]]), ("bhwc,hkc->bhwk", [[2, 5, 3, 4], [5, 6, 4]]),
        ("bhwc,wkc->bhwk", [[2, 5, 3, 4], [3, 6, 4]]),
    ]) func explicitEquations(equation: String, shapes: [[Int]]) throws {
        let inputs = try shapes.enumerated().map { try pseudoRandom($1, seed: UInt64($0 + 1)) }
        let found = try run("Einsum", version: 12, attributes: NodeAttributes(["equation": .string(equation)]), inputs: inputs)[
            0]
        try expectClose(found, Self.oracle(equation, inputs), within: Tolerance(ofLargest: 2e-6))
    }

    @Test func rulesForTheOutput() throws {
        func result(_ equation: String, _ inputs: [Tensor]) throws -> Tensor {
            try run("Einsum", version: 12, attributes: NodeAttributes(["equation": .string(equation)]), inputs: inputs)[0]
        }
        let a = try pseudoRandom([2, 3, 5])
        let b = try pseudoRandom([1, 5, 4])
        #expect(try result("...ij, ...jk", [a, b]).shape.dimensions == [2, 3, 4])
        #expect(try result("...ij,...jk->k...i", [a, b]).shape.dimensions == [4, 2, 3])
        #expect(try result("cba", [a]).shape.dimensions == [5, 3, 2])
        try expectEqual(result("...->...", [a]), a.array(of: Float.self))
        let none = try pseudoRandom([3, 0])
        try expectEqual(result("ij,jk->ik", [none, pseudoRandom([0, 2])]), [Float](repeating: 0, count: 6))
        let integers = try Tensor([Int64.max, 2, 3, 4], shape: Shape([2, 2]))
        #expect(try result("ij,jk->ik", [integers, integers]).array(of: Int64.self)[3] == 22)
    }

    @Test(arguments: [
        ("ij,jk->iz", "the output of the equation \"ij,jk->iz\" repeats a letter, or has one that no input has"),
        ("ij->ii", "the output of the equation \"ij->ii\" repeats a letter, or has one that no input has"),
        ("ij,jk-ik", "the equation \"ij,jk-ik\" has a - without >"),
        ("i.j,jk->ik", "has something else than letters, one ellipsis, commas and ->"),
        ("i1,jk->ik", "has something else than letters, one ellipsis, commas and ->"),
        ("......,jk->k", "has something else than letters, one ellipsis, commas and ->"),
        ("ijk,jk->i", "an input of shape [2, 3] doesn't fit 3 letters of the equation"),
        ("ji,jk->ik", "the equation's inputs differ in an extent that should be equal: 2 and 3"),
        ("ij", "expected 1 inputs, found 2"), ("", "expected 1 inputs, found 2"),
    ])
    func refusals(equation: String, reason: String) throws {
        let inputs = [try pseudoRandom([2, 3]), try pseudoRandom([3, 2])]
        expectError(reason) {
            try run("Einsum", version: 12, attributes: NodeAttributes(["equation": .string(equation)]), inputs: inputs)
        }
    }
}
