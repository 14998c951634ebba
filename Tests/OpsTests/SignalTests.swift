import Foundation
import GraphRuntime
import Ops
import Testing

struct SignalTests {
    /// Against the sum that defines it, for powers of two and lengths that Bluestein's convolution takes.
    @Test(arguments: [1, 2, 3, 5, 8, 12, 17, 64, 100, 127])
    func transformsAreTheirDefinition(length: Int) throws {
        let x = try pseudoRandom([1, length, 2])
        let values = try x.array(of: Float.self)
        for isInverse in [false, true] {
            var attributes = NodeAttributes()
            attributes["inverse"] = .int(isInverse ? 1 : 0)
            let found = try run("DFT", version: 20, attributes: attributes, inputs: [x])[0]
            var expected: [Float] = []
            for k in 0..<length {
                var (real, imaginary) = (0.0, 0.0)
                for n in 0..<length {
                    let angle = (isInverse ? 2 : -2) * Double.pi * Double(k * n % length) / Double(length)
                    let (a, b) = (Double(values[2 * n]), Double(values[2 * n + 1]))
                    real += a * cos(angle) - b * sin(angle)
                    imaginary += a * sin(angle) + b * cos(angle)
                }
                let scale = isInverse ? Double(length) : 1
                expected += [Float(real / scale), Float(imaginary / scale)]
            }
            #expect(try relativeError(found, expected) < 1e-6)
        }
    }

    @Test func refusals() throws {
        let x = try pseudoRandom([1, 8, 1])
        func integer(_ value: Int64) throws -> Tensor { try Tensor(scalar: value) }
        let huge: [Int64] = [0, -1, .min, .max, 1 << 40]
        for value in huge {
            #expect(throws: (any Error).self) { try run("DFT", version: 20, inputs: [x, integer(value)]) }
            #expect(throws: (any Error).self) { try run("STFT", version: 17, inputs: [x, integer(1), nil, integer(value)]) }
        }
        for value in [2, -1, Int64.min, Int64.max] {
            #expect(throws: (any Error).self) { try run("DFT", version: 20, inputs: [x, nil, integer(value)]) }
        }
        for value in [0, -1, Int64.min] {
            #expect(throws: (any Error).self) { try run("STFT", version: 17, inputs: [x, integer(value), nil, integer(4)]) }
        }
        #expect(throws: (any Error).self) { try run("HannWindow", version: 17, inputs: [integer(-1)]) }
        #expect(throws: (any Error).self) {
            try run(
                "MelWeightMatrix", version: 17,
                inputs: [integer(4), integer(8), integer(0), try Tensor(scalar: Float(0)), try Tensor(scalar: Float(9))])
        }
    }

    @Test func windowsOfOneSample() throws {
        var symmetric = NodeAttributes()
        symmetric["periodic"] = .int(0)
        let size = try Tensor(scalar: Int64(1))
        #expect(try run("HannWindow", version: 17, attributes: symmetric, inputs: [size])[0].array(of: Float.self) == [0])
        #expect(try run("BlackmanWindow", version: 17, inputs: [try Tensor(scalar: Int64(0))])[0].count == 0)
    }
}
