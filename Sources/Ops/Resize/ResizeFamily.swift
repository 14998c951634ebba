import GraphRuntime

/// Operators that show a tensor at other places than its own: resizing, sampling, regions.
enum ResizeFamily {
    static let definitions: [OperatorDefinition] =
        Resize.definitions + GridSample.definitions + AffineGrid.definitions + RoiAlign.definitions + MaxRoiPool.definitions
        + DeformConv.definitions
}
