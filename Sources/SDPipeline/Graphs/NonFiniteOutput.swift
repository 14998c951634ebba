import GraphRuntime

/// An output of a component that isn't finite, and what can be said about it.
struct NonFiniteOutput {
    let component: Component
    /// The output's name in the file.
    let output: String
    /// Float32.
    let values: Tensor

    /// Runs the graph again, watched, and says which node made the values, and what helps.
    ///
    /// First node by node as the graph is in the file, so that the node is one of the file's; where that run is finite, the
    /// optimised graph.
    func explained(_ inputs: [String: Tensor]) -> PipelineError {
        let plain = component.plainSession()
        let found = origin(plain, inputs).map { sentence($0) }
        let optimized =
            found == nil ? origin(component.session, inputs).map { sentence($0, isOptimizedAlone: plain != nil) } : nil
        let place = found ?? optimized ?? "a second run gave finite numbers"
        return PipelineError(
            "The \(component.title) answers numbers that aren't finite (\(count)): \(place). \(help)",
            kind: .notFinite(component: component.name))
    }

    private func origin(_ session: Session?, _ inputs: [String: Tensor]) -> NonFiniteTracer.Origin? {
        let tracer = NonFiniteTracer()
        // Copies, so that no result of the run before is taken for steady.
        let copies = inputs.mapValues { input -> Tensor in
            guard let copy = try? MutableTensor(dtype: input.dtype, shape: input.shape), (try? copy.copy(from: input)) != nil
            else { return input }
            return copy.tensor
        }
        guard let session, (try? session.run(copies, observer: tracer)) != nil else { return nil }
        return tracer.origin(of: output)
    }

    private func sentence(_ origin: NonFiniteTracer.Origin, isOptimizedAlone: Bool = false) -> String {
        let kind = origin.hasNaN ? "NaN" : "infinities"
        var text: String
        switch origin.source {
        case .node(let title):
            text = "\(kind) begin at \(title), whose output \"\(origin.value)\" has them although its inputs are finite"
        case .constant: text = "the file's own constant \"\(origin.value)\" has \(kind)"
        case .input: text = "its input \"\(origin.value)\" has \(kind)"
        }
        if let node = origin.firstNaN { text += ", and \(node) makes NaN of them" }
        return text + (isOptimizedAlone ? "; this happens in the optimised graph alone" : "")
    }

    private var count: String {
        let counts = try? values.withSpan(of: Float.self) { elements in
            var (nan, infinite) = (0, 0)
            for index in elements.indices {
                if elements[index].isNaN { nan += 1 } else if elements[index].isInfinite { infinite += 1 }
            }
            return (nan, infinite)
        }
        let (nan, infinite) = counts ?? (0, 0)
        let parts = [nan > 0 ? "\(nan) NaN" : nil, infinite > 0 ? "\(infinite) infinite" : nil].compactMap { $0 }
        return parts.joined(separator: " and ") + " of \(values.count)"
    }

    private var help: String {
        let precision =
            component.options.precision == .single
            ? "" : " single precision instead of \(component.options.precision.rawValue),"
        let single = "an export of the \(component.title) in float32"
        return switch component.name {
        case "text_encoder", "text_encoder_2": "What helps:\(precision) \(single)."
        case "vae_encoder": "What helps:\(precision) \(single), or another picture to start from."
        default: "What helps:\(precision) \(single), or a smaller guidance scale."
        }
    }
}
