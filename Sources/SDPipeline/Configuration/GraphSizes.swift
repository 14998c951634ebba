import Foundation
import GraphRuntime
import ONNXLoader

/// What a component's graph itself says about sizes, for folders without configuration files.
struct GraphSizes {
    private let graph: Graph

    /// - Throws: ``PipelineError`` where the file is missing or can't be read.
    init(_ file: URL) throws {
        do { graph = try ONNXModel(contentsOf: file).graph } catch { throw PipelineError("\(error).", kind: .failedRun) }
    }

    /// Channels of the first input of four axes: as declared, or those that its convolution reads.
    var inputChannels: Int? {
        for id in graph.inputs where graph.initializers[id] == nil {
            guard case .tensor(_, let dimensions?)? = graph.values[id].type, dimensions.count == 4 else { continue }
            if case .fixed(let extent) = dimensions[1], extent > 0 { return extent }
            // Casts of half-precision exports may come before it.
            let convolution = graph.nodes.lazy.first { $0.identity.type == "Conv" }
            guard let weight = convolution?.inputs.dropFirst().first ?? nil, let shape = graph.initializers[weight]?.shape,
                shape.rank == 4
            else { return nil }
            return shape[1]
        }
        return nil
    }

    /// The extent of an input's last axis, where it is declared.
    func width(ofInput name: String) -> Int? {
        for id in graph.inputs where graph.values[id].name == name {
            if case .tensor(_, let dimensions?)? = graph.values[id].type, case .fixed(let extent)? = dimensions.last {
                return extent
            }
        }
        return nil
    }

    /// The ControlNets inside of a U-Net's graph, with their number where it is fixed; nil where it has none.
    var builtInControls: (count: Int?, input: String)? {
        for id in graph.inputs where BuiltInControl.pictureNames.contains(graph.values[id].name) {
            let input = InputDeclaration(graph.values[id])
            return (BuiltInControl.count(input), input.name)
        }
        return nil
    }

    /// What the levels of a U-Net or a VAE's decoder scale by together: each has a node that doubles height and width.
    var scalingFactor: Int {
        let count = graph.nodes.count { $0.identity.type == "Resize" || $0.identity.type == "Upsample" }
        return 1 << min(count, 12)
    }
}
