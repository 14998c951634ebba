import CPNG

/// Which libpng the process has loaded.
package enum LibPNGVersion {
    package static var text: String {
        unsafe png_get_libpng_ver(nil).map { unsafe String(cString: $0) } ?? "of an unknown version"
    }
}
