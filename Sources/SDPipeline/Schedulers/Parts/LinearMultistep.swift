/// The Adams-Bashforth methods of order 1 to 4 for steps of one size (Liu et al. 2022, equation 12).
enum LinearMultistep {
    /// The mean slope of the next step.
    /// - Parameter history: slopes at the starts of the last steps, the newest last; the last four count. Not empty.
    static func slope(_ history: [[Float]]) -> [Float] {
        let newest = Array(history.reversed())
        switch newest.count {
        case 0, 1:
            return newest.first ?? []
        case 2:
            return combine(newest[0], newest[1]) { (3 * $0 - $1) / 2 }
        case 3:
            let newer = combine(newest[0], newest[1]) { 23 * $0 - 16 * $1 }
            return combine(newer, newest[2]) { ($0 + 5 * $1) / 12 }
        default:
            let factor = Float(1.0 / 24.0)
            var sum = combine(newest[0], newest[1]) { 55 * $0 - 59 * $1 }
            sum = combine(sum, newest[2]) { $0 + 37 * $1 }
            return combine(sum, newest[3]) { factor * ($0 - 9 * $1) }
        }
    }
}
