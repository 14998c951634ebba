import Foundation
import GraphRuntime

/// How a model's values differ from a reference. Written as JSON with keys in snake case.
struct CompareReport: Encodable {
    /// One value.
    struct Entry: Encodable {
        let value: String
        /// The node that computes it, as messages name it.
        let node: String
        /// The modules around the node.
        let layer: String
        /// The nodes of the file that a fused node stands for.
        let fused: [String]?
        let maxDifference: Double
        let meanDifference: Double
        /// The largest difference over the largest magnitude of the reference.
        let relative: Double
        /// The mean difference over the mean magnitude of the reference.
        let relativeMean: Double
        /// Where types or shapes differ.
        let obstacle: String?
        let found: Double
        let expected: Double
        /// The element with the largest difference, counted in row-major order.
        let position: Int

        var sentence: String {
            let place = "\(node) (value \"\(value)\")"
            if let obstacle { return "\(place): it \(obstacle)" }
            let shares = String(
                format: "%.2g of the largest magnitude and on average %.2g of the mean one", relative, relativeMean)
            return "\(place): by \(maxDifference), \(shares); element \(position) is \(found), expected \(expected)"
        }
    }

    /// One run held against the reference.
    struct Comparison: Encodable {
        /// `node by node` or `optimised`.
        let run: String
        private(set) var compared = 0
        /// Values of the reference that the run didn't compute: fused, folded, or unknown to the model.
        private(set) var absent = 0
        private(set) var differing = 0
        /// The first that differs beyond the tolerance, in the order in which nodes run.
        private(set) var first: Entry?
        /// The value with the largest relative difference.
        private(set) var worst: Entry?
        private(set) var values: [Entry] = []

        init(of run: String) { self.run = run }

        mutating func add(_ result: ValueWatcher.Result, _ reference: Tensor, tolerance: Double) throws {
            let difference = try TensorDifference(result.tensor, from: reference)
            let isExact = !result.tensor.dtype.isFloatingPoint
            let entry = Entry(
                value: result.name, node: result.node.title,
                layer: NodeHierarchy.layer(of: NodeHierarchy.path(of: result.node)), fused: result.node.fusion?.nodes,
                maxDifference: Self.encodable(difference.largest), meanDifference: Self.encodable(difference.mean),
                relative: Self.encodable(difference.relative), relativeMean: Self.encodable(difference.relativeMean),
                obstacle: difference.obstacle,
                found: Self.encodable(difference.found), expected: Self.encodable(difference.expected),
                position: difference.position)
            compared += 1
            values.append(entry)
            if difference.exceeds(isExact ? 0 : tolerance) {
                differing += 1
                if first == nil { first = entry }
            }
            if worst == nil || entry.relative > worst?.relative ?? 0 { worst = entry }
        }

        func finished(outOf names: Set<String>) -> Comparison {
            var result = self
            result.absent = names.subtracting(values.map(\.value)).count
            return result
        }

        /// JSON has no infinities and no NaN.
        private static func encodable(_ value: Double) -> Double {
            value.isNaN ? 0 : min(max(value, -Double.greatestFiniteMagnitude), Double.greatestFiniteMagnitude)
        }
    }

    let model: String
    let tolerance: Double
    var comparisons: [Comparison] = []

    var text: String {
        comparisons.map { comparison in
            var lines = [
                "\(comparison.run): \(comparison.compared) values compared, \(comparison.differing) differ by more than "
                    + String(
                        format: "%g of their largest magnitude or on average %g of the mean one, ", tolerance, tolerance / 10)
                    + "\(comparison.absent) of the reference aren't computed"
            ]
            if let first = comparison.first { lines.append("  first: \(first.sentence)") }
            if let worst = comparison.worst { lines.append("  most: \(worst.sentence)") }
            return lines.joined(separator: "\n")
        }
        .joined(separator: "\n")
    }
}
