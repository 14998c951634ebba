import GraphRuntime

/// Operators that move elements without computing.
enum LayoutFamily {
    static let definitions: [OperatorDefinition] =
        Reshape.definitions + Flatten.definitions + Squeeze.definitions + Unsqueeze.definitions + Transpose.definitions
        + Concat.definitions + Split.definitions + Slice.definitions + Pad.definitions + Tile.definitions
        + DepthToSpace.definitions + SpaceToDepth.definitions + ReverseSequence.definitions + CenterCropPad.definitions
        + Col2Im.definitions
}
