extension ContinuousClock {
    /// Runs `body` and adds the seconds that it took.
    func seconds<Result>(into total: inout Double, _ body: () throws -> Result) rethrows -> Result {
        let start = now
        defer { total += (now - start).seconds }
        return try body()
    }
}

extension Duration {
    /// The duration in seconds.
    package var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
