import GraphRuntime

/// FreeU's change of a U-Net's graph (Si et al. 2024, "FreeU: Free Lunch in Diffusion U-Net", section 3.3; diffusers' `apply_freeu`): before the
/// concatenations of the first two blocks on the way up, the first half of the hidden states' channels is scaled by b, and the lowest frequencies of
/// the skip by s.
///
/// Of a skip with h rows and w columns the lowest frequencies are (0, 0), (−1, 0), (0, −1) and (−1, −1), as diffusers' mask of threshold 1
/// selects them after `fftshift`. Their part of the skip, a sum of four plane waves, is what the products with the waves' cosines and sines
/// and back make, divided by h·w; so that no Fourier transform is computed: x + (s − 1) / (h w) · x Gᵀ G, with G of 8 rows.
enum FreeUFilter {
    /// The input that the graph gets: b1, b2, s1, s2.
    static let inputName = "sd-onnx.freeu"

    /// - Throws: ``PipelineError`` where the U-Net has fewer than two blocks on the way up.
    static func add(to graph: inout Graph, at connections: SkipConnections, title: String) throws {
        let chosen = connections.connections.filter { $0.block < 2 }
        guard Set(chosen.map(\.block)) == [0, 1] else {
            let blocks = Set(connections.connections.map(\.block)).sorted().map(String.init).joined(separator: ", ")
            throw PipelineError(
                "FreeU changes the first two blocks of a U-Net's way up, and the \(title)'s skip connections are in the blocks \(blocks).",
                kind: .unsupportedModel)
        }
        var editor = Editor(GraphInsertion(graph, prefix: "sd-onnx.freeu"))
        for connection in chosen {
            let node = try SkipConnections.node(of: connection, in: graph)
            let inputs = graph.nodes[node].inputs
            guard let hidden = inputs[connection.hiddenInput], let skip = inputs[connection.skipInput] else { continue }
            let scaled = try editor.scaled(hidden, factor: connection.block, before: node)
            // Without a middle block both are one tensor, which diffusers scales in place.
            let filtered = try editor.filtered(
                hidden == skip ? scaled : skip, factor: 2 + connection.block, before: node)
            editor.insertion.replace(input: connection.hiddenInput, ofNode: node, by: scaled)
            editor.insertion.replace(input: connection.skipInput, ofNode: node, by: filtered)
        }
        graph = editor.insertion.finished()
    }

    /// Writes both changes as nodes of ONNX's own operators. What depends on shapes alone is computed once for all runs.
    private struct Editor {
        var insertion: GraphInsertion
        private let factors: ValueID
        private var constants: [[Float]: ValueID] = [:]
        private var indices: [[Int64]: ValueID] = [:]
        private static let negativeCircle = -2 * Float.pi

        init(_ insertion: GraphInsertion) {
            self.insertion = insertion
            factors = self.insertion.input(FreeUFilter.inputName, .tensor(.float32, [.fixed(4)]))
        }

        /// A value [N, C, h, w], the first half of its channels scaled.
        mutating func scaled(_ value: ValueID, factor: Int, before node: Int) throws -> ValueID {
            let extents = insertion.add("Shape", 15, [value], before: node)
            let channels = try extent(1, of: extents, before: node)
            let half = try insertion.add("Div", 14, [channels, scalar(2)], before: node)
            let places = try insertion.add("Range", 11, [scalar(0), channels, scalar(1)], before: node)
            let isFirst = insertion.add("Less", 13, [places, half], before: node)
            let scale = try insertion.add(
                "Where", 16, [isFirst, self.factor(factor, before: node), number([1])], before: node)
            let column = try insertion.add("Reshape", 14, [scale, list([1, -1, 1, 1])], before: node)
            let like = insertion.add("CastLike", 15, [column, value], before: node)
            return insertion.add("Mul", 14, [value, like], before: node)
        }

        /// A value [N, C, h, w], its lowest frequencies scaled.
        mutating func filtered(_ value: ValueID, factor: Int, before node: Int) throws -> ValueID {
            let extents = insertion.add("Shape", 15, [value], before: node)
            let (height, width) = (try extent(2, of: extents, before: node), try extent(3, of: extents, before: node))
            let waves = try waves(height, width, before: node)
            let wide = insertion.add("Cast", 13, [value], ["to": .int(1)], before: node)
            let rows = try insertion.add("Reshape", 14, [wide, list([0, 0, -1])], before: node)
            let turned = insertion.add("Transpose", 13, [waves], ["perm": .ints([1, 0])], before: node)
            let parts = insertion.add("MatMul", 13, [rows, turned], before: node)
            let area = insertion.add("Mul", 14, [height, width], before: node)
            let count = insertion.add("Cast", 13, [area], ["to": .int(1)], before: node)
            let less = try insertion.add("Sub", 14, [self.factor(factor, before: node), number([1])], before: node)
            let share = insertion.add("Div", 14, [less, count], before: node)
            let scaledParts = insertion.add("Mul", 14, [parts, share], before: node)
            let change = insertion.add("MatMul", 13, [scaledParts, waves], before: node)
            let sum = insertion.add("Add", 14, [rows, change], before: node)
            let shaped = insertion.add("Reshape", 14, [sum, extents], before: node)
            return insertion.add("CastLike", 15, [shaped, value], before: node)
        }

        /// Cosines and sines of the four plane waves at each pixel, [8, h·w]; waves that pictures of one row or column don't have are
        /// zeros.
        private mutating func waves(_ height: ValueID, _ width: ValueID, before node: Int) throws -> ValueID {
            let (rowTurns, rowExists) = try turns(height, [0, 1, 0, 1], shape: [1, -1, 1], before: node)
            let (columnTurns, columnExists) = try turns(width, [0, 0, 1, 1], shape: [1, 1, -1], before: node)
            let angles = insertion.add("Add", 14, [rowTurns, columnTurns], before: node)
            let exists = insertion.add("And", 7, [rowExists, columnExists], before: node)
            let amount = insertion.add("Cast", 13, [exists], ["to": .int(1)], before: node)
            let parts = ["Cos", "Sin"].map { function -> ValueID in
                let values = insertion.add(function, 7, [angles], before: node)
                return insertion.add("Mul", 14, [values, amount], before: node)
            }
            let all = insertion.add("Concat", 13, parts, ["axis": .int(0)], before: node)
            return try insertion.add("Reshape", 14, [all, list([8, -1])], before: node)
        }

        /// For each of the four waves the angle at each place along one axis, and whether an axis of this extent has the wave.
        private mutating func turns(
            _ extent: ValueID, _ frequencies: [Float], shape: [Int64], before node: Int
        ) throws -> (angles: ValueID, exists: ValueID) {
            let range = try insertion.add("Range", 11, [scalar(0), extent, scalar(1)], before: node)
            let places = insertion.add("Cast", 13, [range], ["to": .int(1)], before: node)
            let count = insertion.add("Cast", 13, [extent], ["to": .int(1)], before: node)
            let shares = insertion.add("Div", 14, [places, count], before: node)
            let along = try insertion.add("Reshape", 14, [shares, list(shape)], before: node)
            let waves = try insertion.add("Reshape", 14, [number(frequencies), list([4, 1, 1])], before: node)
            let circles = try insertion.add("Mul", 14, [waves, number([Self.negativeCircle])], before: node)
            let angles = insertion.add("Mul", 14, [along, circles], before: node)
            return (angles, insertion.add("Less", 13, [waves, count], before: node))
        }

        /// One of the input's numbers, as a scalar.
        private mutating func factor(_ index: Int, before node: Int) throws -> ValueID {
            try insertion.add("Gather", 13, [factors, scalar(Int64(index))], before: node)
        }

        private mutating func extent(_ axis: Int64, of extents: ValueID, before node: Int) throws -> ValueID {
            try insertion.add("Gather", 13, [extents, scalar(axis)], before: node)
        }

        private mutating func number(_ values: [Float]) throws -> ValueID {
            if let known = constants[values] { return known }
            let made = insertion.constant(values.count == 1 ? try Tensor(scalar: values[0]) : try Tensor(values))
            constants[values] = made
            return made
        }

        private mutating func scalar(_ value: Int64) throws -> ValueID {
            // A key that no list has.
            let key = [value, .min]
            if let known = indices[key] { return known }
            let made = insertion.constant(try Tensor(scalar: value))
            indices[key] = made
            return made
        }

        private mutating func list(_ values: [Int64]) throws -> ValueID {
            if let known = indices[values] { return known }
            let made = insertion.constant(try Tensor(values))
            indices[values] = made
            return made
        }
    }
}
