import Foundation
import GraphRuntime
import Ops
import TestSupport
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
            try expectClose(found, expected, within: Tolerance(ofLargest: 1e-6))
        }
    }

    @Test func refusals() throws {
        let x = try pseudoRandom([1, 8, 1])
        func integer(_ value: Int64) throws -> Tensor { try Tensor(scalar: value) }
        let huge: [(Int64, String)] = [
            (0, "dft_length should be 1 or more, found 0"), (-1, "dft_length should be 1 or more, found -1"),
            (.min, "dft_length should be 1 or more, found -9223372036854775808"),
            (.max, "shape [1, 9223372036854775807, 1] has too many elements"),
            (1 << 40, "the values take 8796093022208 bytes, expected at most"),
        ]
        for (value, reason) in huge {
            expectError(reason) { try run("DFT", version: 20, inputs: [x, integer(value)]) }
            expectError("frames of \(value) by steps of 1 don't fit a signal of 8") {
                try run("STFT", version: 17, inputs: [x, integer(1), nil, integer(value)])
            }
        }
        let axes: [(Int64, String)] = [
            (2, "axis 2 holds the real and imaginary parts of [1, 8, 1]"),
            (-1, "axis -1 holds the real and imaginary parts of [1, 8, 1]"),
            (.min, "axis -9223372036854775808 is outside of the 3 axes of [1, 8, 1]"),
            (.max, "axis 9223372036854775807 is outside of the 3 axes of [1, 8, 1]"),
        ]
        for (value, reason) in axes {
            expectError(reason) { try run("DFT", version: 20, inputs: [x, nil, integer(value)]) }
        }
        for value in [0, -1, Int64.min] {
            expectError("frames of 4 by steps of \(value) don't fit a signal of 8") {
                try run("STFT", version: 17, inputs: [x, integer(value), nil, integer(4)])
            }
        }
        expectError("shape [-1] has a negative extent") { try run("HannWindow", version: 17, inputs: [integer(-1)]) }
        expectError("the sample rate should be positive and the edges 0 or more, found 0 and [0.0, 9.0]") {
            try run(
                "MelWeightMatrix", version: 17,
                inputs: [integer(4), integer(8), integer(0), try Tensor(scalar: Float(0)), try Tensor(scalar: Float(9))])
        }
    }

    /// A real signal without an axis for its parts, as ONNX Runtime allows it.
    @Test(arguments: [true, false]) func signalsOfTwoAxes(isOneSided: Bool) throws {
        let attributes = NodeAttributes(["onesided": .int(isOneSided ? 1 : 0)])
        let signal = try pseudoRandom([2, 40])
        func transformed(_ shape: [Int], window: Bool) throws -> [Float] {
            let window = window ? try pseudoRandom([8]) : nil
            let length = window == nil ? try Tensor(scalar: Int64(8)) : nil
            let inputs = [try signal.reshaped(to: Shape(shape)), try Tensor(scalar: Int64(3)), window, length]
            let found = try run("STFT", version: 17, attributes: attributes, inputs: inputs)[0]
            #expect(found.shape == (try Shape([2, 11, isOneSided ? 5 : 8, 2])))
            return try found.array(of: Float.self)
        }
        for window in [true, false] {
            #expect(try transformed([2, 40], window: window) == transformed([2, 40, 1], window: window))
        }
        expectError("expected a signal of shape [batch, length], [batch, length, 1] or [batch, length, 2], found [80]") {
            try transformed([80], window: false)
        }
    }

    @Test func windowsOfOneSample() throws {
        var symmetric = NodeAttributes()
        symmetric["periodic"] = .int(0)
        let size = try Tensor(scalar: Int64(1))
        try expectEqual(run("HannWindow", version: 17, attributes: symmetric, inputs: [size])[0], [0] as [Float])
        #expect(try run("BlackmanWindow", version: 17, inputs: [try Tensor(scalar: Int64(0))])[0].count == 0)
    }
}
