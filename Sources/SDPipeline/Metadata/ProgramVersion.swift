/// The version of this package: what `sd-onnx --version` prints, and what pictures say they were made with.
public enum ProgramVersion {
    /// Major, minor and patch number, as <https://semver.org> defines them.
    public static let current = "0.2.0"
}
