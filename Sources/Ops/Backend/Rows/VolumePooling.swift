import CKernels
import GraphRuntime

/// Pooling of float32 over three axes: that of each slice, and then of what the slices of a window have become.
struct VolumePooling {
    private let geometry: PoolGeometry
    private let slices: WindowPooling
    private let sliceShape: Shape
    /// Numbers of a slice of the output.
    private let area: Int

    init?(_ geometry: PoolGeometry) {
        let (axes, shape) = (geometry.axes, geometry.shape)
        guard axes.count == 3, axes.allSatisfy({ $0.output > 0 }), shape.count > 0,
            let planes = try? Shape([shape[0], shape[1] * shape[2], shape[3], shape[4]]),
            let slices = WindowPooling(PoolGeometry(axes: Array(axes[1...]), shape: planes)),
            let sliceShape = try? Shape([shape[0] * shape[1] * shape[2], axes[1].output, axes[2].output])
        else { return nil }
        (self.geometry, self.slices, self.sliceShape) = (geometry, slices, sliceShape)
        area = axes[1].output * axes[2].output
    }

    func run(_ kind: WindowPooling.Kind, _ data: Tensor, into output: MutableTensor, threads: ThreadPool) throws {
        let pooled = try MutableTensor(dtype: .float32, shape: sliceShape)
        let (outside, counts) = kind.parameters(geometry)
        if outside == 0 {
            try slices.run(.sum, data, into: pooled, threads: threads)
        } else {
            try slices.run(.max, data, into: pooled, threads: threads)
        }
        defer { withExtendedLifetime(pooled) {} }
        nonisolated(unsafe) let source = unsafe try pooled.pointer(to: Float.self)
        nonisolated(unsafe) let target = unsafe try output.pointer(to: Float.self)
        let (depth, area) = (geometry.axes[0], area)
        let planes = geometry.shape.count(0..<2)
        threads.forEachRange(planes * depth.output, grain: max(BroadcastPlan.grain / area, 1)) { part in
            for index in part {
                let window = depth.window(index % depth.output)
                let result = unsafe target + index * area
                unsafe result.update(repeating: outside, count: area)
                for tap in 0..<window.count {
                    let slice = index / depth.output * depth.input + window.first + tap * depth.dilation
                    if outside == 0 {
                        unsafe ck_add(result, 1, source + slice * area, 1, result, area)
                    } else {
                        unsafe ck_max(result, 1, source + slice * area, 1, result, area)
                    }
                }
                guard !counts.isEmpty else { continue }
                unsafe counts.withUnsafeBufferPointer { counts in
                    guard let counts = counts.baseAddress else { return }
                    unsafe ck_div(result, 1, counts + index % depth.output * area, 1, result, area)
                }
            }
        }
    }
}
