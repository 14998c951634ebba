import Foundation
import GraphRuntime
import ONNXLoader
import Ops

extension Session {
    /// A session on one graph, on threads that others may use too.
    ///
    /// - Throws: an error that names the file.
    convenience init(
        modelFile path: String, optimize: Bool, pool: ThreadPool, memory: MemoryOptions, numbers: PrecisionOptions
    ) throws {
        let model = try ONNXModel(contentsOf: URL(fileURLWithPath: path), limits: memory.limits)
        var options = SessionOptions(
            optimize: optimize, threads: pool, savesMemory: memory.savesMemory, precision: numbers.precision,
            halfRounding: numbers.half.halfRounding, weights: numbers.weights,
            panelCache: try memory.panelCache())
        options.limits = memory.limits
        do {
            try self.init(graph: model.graph, library: StandardOperators.library, options: options)
        } catch {
            throw CommandFailure("\(path) can't be run: \(error).")
        }
    }
}
