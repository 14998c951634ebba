import GraphRuntime
import Ops
import Testing

/// What isn't quite an RMSNorm, or a GELU by tanh, stays as it is; ``FusionValueTests`` compares the values of those that are.
@Suite struct RMSNormalizationFusionTests {
    private func count(
        power: Float = 2, axes: Int64 = -1, epsilon: Float = 1e-6, affine: [Int] = [5], isConstant: Bool = true,
        divides other: Bool = false, isRead: Bool = false
    ) throws -> Int {
        var g = FusionGraph()
        let x = try g.input([2, 3, 5])
        let mean = g.node(
            "ReduceMean", g.node("Pow", x, try g.scalar(power)),
            attributes: NodeAttributes(["axes": .ints([axes]), "keepdims": .int(1)]))
        let root = g.node("Sqrt", g.node("Add", mean, try g.scalar(epsilon)))
        let normal = g.node("Div", other ? try g.input([2, 3, 5]) : x, root)
        let y = g.node("Mul", normal, isConstant ? try g.weights(affine) : try g.input(affine))
        return try g.fusions(isRead ? [y, root] : [y])["RMSNormalization"] ?? 0
    }

    @Test func refuses() throws {
        #expect(try count() == 1)
        #expect(try count(power: 3) == 0)
        #expect(try count(axes: 1) == 0)
        #expect(try count(epsilon: 1e-30) == 0)
        #expect(try count(affine: [3, 1]) == 0)
        #expect(try count(affine: [1, 3, 5]) == 0)
        #expect(try count(isConstant: false) == 0)
        #expect(try count(divides: true) == 0)
        #expect(try count(isRead: true) == 0)
    }

    @Test(arguments: [
        (0.7978845608, 0.044715, 3, 1), (0.79, 0.044715, 3, 0), (0.7978845608, 0.05, 3, 0), (0.7978845608, 0.044715, 2, 0),
    ])
    func geluByTanh(slope: Float, curve: Float, power: Float, expected: Int) throws {
        var g = FusionGraph()
        let x = try g.input([3, 7])
        let cube = g.node("Mul", g.node("Pow", x, try g.scalar(power)), try g.scalar(curve))
        let argument = g.node("Mul", g.node("Add", x, cube), try g.scalar(slope))
        let gate = g.node("Add", g.node("Tanh", argument), try g.scalar(1))
        let y = g.node("Mul", g.node("Mul", x, try g.scalar(0.5)), gate)
        #expect(try g.fusions(y)["GELU", default: 0] == expected)
    }
}
