import GraphRuntime
import Ops
import Testing

/// Nodes that change nothing vanish from a plan; those that only seem to stay.
@Suite struct ForwardedInputTests {
    /// How many nodes are left of Abs → what `build` adds → Sqrt, without the two that convert an input and an output of half precision.
    private func nodes(
        _ dtype: DType = .float32, _ shape: [Int] = [2, 3], _ build: (inout FusionGraph, ValueID) throws -> ValueID
    ) throws -> Int {
        var g = FusionGraph(dtype)
        let x = try g.input(shape)
        let middle = try build(&g, g.node("Abs", x))
        return try g.nodeCount(g.node("Sqrt", middle)) - (dtype == .float16 ? 2 : 0)
    }

    private func arithmetic(
        _ type: String, _ value: Float, _ shape: [Int] = [], isFlipped: Bool = false, dtype: DType = .float32
    ) throws -> Int {
        try nodes(dtype) { g, x in
            let constant = try g.scalar(value, shape)
            return isFlipped ? g.node(type, constant, x) : g.node(type, x, constant)
        }
    }

    @Test(arguments: [.float32, .float16, .float64] as [DType]) func neutralElements(dtype: DType) throws {
        // Of the zeros -0 alone is neutral in a sum: -0 + 0 is 0.
        for (type, value) in [("Mul", 1), ("Div", 1), ("Add", -0.0), ("Sub", 0)] as [(String, Float)] {
            #expect(try arithmetic(type, value, dtype: dtype) == 2)
            #expect(try arithmetic(type, value, [1, 1], dtype: dtype) == 2)
            #expect(try arithmetic(type, value, isFlipped: true, dtype: dtype) == (type == "Mul" || type == "Add" ? 2 : 3))
            // Another number, and one that adds an axis.
            #expect(try arithmetic(type, value + 0.5, dtype: dtype) == 3)
            #expect(try arithmetic(type, value, [1, 1, 1], dtype: dtype) == 3)
        }
    }

    @Test func castsAndMoves() throws {
        func cast(_ dtype: DType, to target: DType) throws -> Int {
            try nodes(dtype) { g, x in
                let found = g.node("Cast", x, attributes: NodeAttributes(["to": .int(Int64(target.rawValue))]))
                return target == dtype
                    ? found : g.node("Cast", found, attributes: NodeAttributes(["to": .int(Int64(dtype.rawValue))]))
            }
        }
        #expect(try cast(.float32, to: .float32) == 2)
        #expect(try cast(.float16, to: .float16) == 2)
        #expect(try cast(.float32, to: .float64) == 4)

        func transpose(_ permutation: [Int64], _ shape: [Int]) throws -> Int {
            try nodes(.float32, shape) { g, x in
                g.node("Transpose", x, attributes: NodeAttributes(["perm": .ints(permutation)]))
            }
        }
        #expect(try transpose([0, 1], [3, 3]) == 2)
        #expect(try transpose([1, 0], [3, 3]) == 3)

        func reshape(_ type: String, _ target: [Int64], _ shape: [Int] = [2, 3]) throws -> Int {
            try nodes(.float32, shape) { g, x in g.node(type, x, g.constant(try Tensor(target))) }
        }
        #expect(try reshape("Reshape", [2, -1]) == 2)
        #expect(try reshape("Reshape", [3, 2]) == 3)
        #expect(try reshape("Expand", [1, 3]) == 2)
        #expect(try reshape("Expand", [4, 2, 3]) == 3)
        #expect(try nodes { g, x in g.node("Identity", x) } == 2)
        #expect(try nodes { g, x in g.node("Dropout", x) } == 2)
    }

    @Test func slices() throws {
        func slice(_ start: Int64, _ end: Int64, step: Int64) throws -> Int {
            try nodes(.float32, [1, 5]) { g, x in
                let bounds = try [start, end, 1, step].map { g.constant(try Tensor([$0])) }
                return g.node("Slice", x, bounds[0], bounds[1], bounds[2], bounds[3])
            }
        }
        #expect(try slice(0, 5, step: 1) == 2)
        #expect(try slice(-9, .max, step: 1) == 2)
        #expect(try slice(1, 5, step: 1) == 3)
        // As many elements, from the last to the first.
        #expect(try slice(-1, .min, step: -1) == 3)
    }

    /// An output of the graph keeps its name though it is what an input or another output is.
    @Test func outputsStay() throws {
        var g = FusionGraph()
        let x = try g.input([2, 3])
        let one = try g.scalar(1)
        let first = g.node("Mul", x, one)
        let second = g.node("Identity", first)
        let third = g.node("Div", g.node("Abs", second), one)
        #expect(try g.nodeCount(first, second, third, x) == 4)
    }
}
