import COpenBLAS

/// Which OpenBLAS the process has loaded.
package enum OpenBLASVersion {
    /// Its version, how it was built, and the processor whose kernels it has chosen, such as `0.3.21 … SkylakeX MAX_THREADS=64`.
    package static var text: String {
        guard let text = unsafe openblas_get_config() else { return "of an unknown version" }
        return unsafe String(cString: text).split(separator: " ").drop { $0 == "OpenBLAS" }.joined(separator: " ")
    }
}
