import CKernels

/// The widest vector instructions that the kernels use: those of the machine, or what the environment variable `SD_ONNX_CPU` lowers
/// them to.
public enum InstructionSet: String, Sendable {
    /// What every processor of the architecture has.
    case plain
    /// AVX2 with FMA: vectors of 8 single-precision numbers.
    case avx2
    /// AVX-512 F and VL: vectors of 16.
    case avx512

    /// What the kernels of this process use; decided once.
    public static var current: InstructionSet {
        switch Int(ck_level()) {
        case CK_LEVEL_AVX512: .avx512
        case CK_LEVEL_AVX2: .avx2
        default: .plain
        }
    }

    /// Whether the kernels multiply bytes by instructions of their own (VNNI or AMX): only then ``/GraphRuntime/Precision/int8`` rounds.
    public static var multipliesBytes: Bool { DynamicProduct.isFast }
}
