extension SchedulerRegistry {
    /// The name of a scheduler with its variant, such as `dpm++2m karras`: one that ``find(_:)`` knows, and that gives the same settings
    /// with the same configuration and overrides.
    ///
    /// Of several such names, the one that says most about what isn't a default; of these the shortest list of settings.
    ///
    /// - Parameters:
    ///   - settings: what a scheduler was made with.
    ///   - configuration: the model's settings that it was made over.
    ///   - overrides: settings that were stated beside the name.
    /// - Returns: nil where no name gives these settings.
    func name(
        of settings: SchedulerSettings, configuration: SchedulerConfiguration, overrides: [String: SchedulerValue] = [:]
    ) -> String? {
        guard let descriptor = descriptors.first(where: { $0.className == settings.className }) else { return nil }
        let defaults = Dictionary(
            descriptor.parameters.map { ($0.key, $0.defaultValue) }, uniquingKeysWith: { first, _ in first })
        var best: (name: String, telling: Int, stated: Int)?
        for (name, stated) in candidates(descriptor) {
            guard stated.allSatisfy({ settings.values[$0.key] == $0.value }) else { continue }
            let merged = stated.merging(overrides) { _, new in new }
            guard let made = try? SchedulerSettings(configuration, for: descriptor, overrides: merged),
                made.values == settings.values
            else { continue }
            let telling = stated.count { defaults[$0.key] != $0.value }
            if best.map({ (telling, -stated.count) > ($0.telling, -$0.stated) }) ?? true {
                best = (name, telling, stated.count)
            }
        }
        return best?.name
    }

    /// Short name and aliases, alone and with each suffix.
    private func candidates(_ descriptor: SchedulerDescriptor) -> [(name: String, overrides: [String: SchedulerValue])] {
        let plain =
            [(name: descriptor.shortName, overrides: [:])] + descriptor.aliases.map { (name: $0.name, overrides: $0.overrides) }
        let words = ["karras", "exponential", "beta", "trailing"]
        let suffixes = ScheduleSuffix.all.compactMap { suffix -> (name: String, key: String, value: SchedulerValue)? in
            guard words.contains(suffix.name), case .settings(let settings) = suffix.meaning, settings.count == 1,
                let setting = settings.first
            else { return nil }
            return (suffix.name, setting.key, setting.value)
        }
        return plain
            + plain.flatMap { base in
                suffixes.compactMap { suffix in
                    guard descriptor.parameters.contains(where: { $0.key == suffix.key }) else { return nil }
                    return (
                        "\(base.name) \(suffix.name)", base.overrides.merging([suffix.key: suffix.value]) { $1 }
                    )
                }
            }
    }
}
