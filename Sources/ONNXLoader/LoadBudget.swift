import GraphRuntime

/// What one load has taken of its ``ResourceLimits``: one total over the model, its functions, graphs of attributes and external data.
final class LoadBudget {
    let limits: ResourceLimits
    private var bytes = 0
    private var messages = 0
    private var tensors = 0
    private var nodes = 0

    init(_ limits: ResourceLimits) { self.limits = limits }

    /// Memory that is about to be allocated.
    func take(bytes count: Int) throws(LoadError) {
        let (total, overflow) = bytes.addingReportingOverflow(count)
        guard !overflow, total <= limits.loadedBytes else {
            throw LoadError(.limit, "loading takes more than \(limits.loadedBytes) bytes of memory, the limit of a load")
        }
        bytes = total
    }

    /// A message with its structure in memory: protobuf-c's, and what becomes of it.
    func takeMessage(bytes count: Int) throws(LoadError) {
        messages += 1
        guard messages <= limits.messages else {
            throw LoadError(.limit, "the file has more than \(limits.messages) messages, the limit of a load")
        }
        try take(bytes: count)
    }

    func takeTensor() throws(LoadError) {
        tensors += 1
        guard tensors <= limits.tensors else {
            throw LoadError(.limit, "the file has more than \(limits.tensors) tensors, the limit of a load")
        }
    }

    func takeNode() throws(LoadError) {
        nodes += 1
        guard nodes <= limits.nodes else {
            throw LoadError(.limit, "the graph has more than \(limits.nodes) nodes, the limit of a load")
        }
    }
}
