/// All parameters of one scheduler with their values: the configuration's where it states them, the scheduler's own
/// defaults elsewhere. Every value has been checked for type and range.
public struct SchedulerSettings: Sendable, Equatable {
    /// The diffusers class, such as `DDIMScheduler`.
    public let className: String
    /// Every parameter of the scheduler with its value, by diffusers' name.
    public let values: [String: SchedulerValue]

    /// Takes from `configuration` the keys that the scheduler knows, as diffusers' `from_config` does.
    /// - Parameters:
    ///   - configuration: what the model's file states.
    ///   - descriptor: the scheduler that is to be used, not necessarily the one that the file names.
    ///   - overrides: keys that a person stated; they win over the file, and must be known to the scheduler.
    /// - Throws: ``SchedulerError`` for a value of a wrong type or range, or an override that the scheduler doesn't have.
    public init(
        _ configuration: SchedulerConfiguration, for descriptor: SchedulerDescriptor,
        overrides: [String: SchedulerValue] = [:]
    ) throws {
        className = descriptor.className
        let known = descriptor.parameters.map(\.key)
        if let key = overrides.keys.sorted().first(where: { !known.contains($0) }) {
            throw SchedulerError.unknownOption(scheduler: descriptor.className, key: key, known: known)
        }
        let isOwnClass = configuration.className == nil || configuration.className == descriptor.className
        var values: [String: SchedulerValue] = [:]
        for parameter in descriptor.parameters {
            let own = isOwnClass ? configuration.ownValues[parameter.key] : nil
            var inherited = configuration.values[parameter.key]
            if inherited == .absent, !isOwnClass, !parameter.isOptional {
                // What another class calls no value: false where diffusers asks whether it is so.
                inherited = parameter.kind == .flag ? .flag(false) : nil
            }
            let stated = overrides[parameter.key] ?? inherited ?? own
            values[parameter.key] =
                try stated.map { value throws(SchedulerError) in
                    try parameter.checked(value, for: descriptor.className)
                } ?? parameter.defaultValue
        }
        self.values = values
    }

    /// Whether the scheduler has a parameter of this name.
    func has(_ key: String) -> Bool { values[key] != nil }

    func integer(_ key: String) throws -> Int {
        guard case .integer(let value)? = values[key] else { throw missing(key) }
        return value
    }

    func number(_ key: String) throws -> Double {
        guard case .number(let value)? = values[key] else { throw missing(key) }
        return value
    }

    func optionalNumber(_ key: String) throws -> Double? {
        values[key] == .absent ? nil : try number(key)
    }

    func flag(_ key: String) throws -> Bool {
        guard case .flag(let value)? = values[key] else { throw missing(key) }
        return value
    }

    func text(_ key: String) throws -> String {
        guard case .text(let value)? = values[key] else { throw missing(key) }
        return value
    }

    func choice<Choice: RawRepresentable>(_ key: String, as type: Choice.Type) throws -> Choice
    where Choice.RawValue == String {
        guard let choice = Choice(rawValue: try text(key)) else { throw missing(key) }
        return choice
    }

    func optionalNumbers(_ key: String) throws -> [Double]? {
        if values[key] == .absent { return nil }
        guard case .numbers(let value)? = values[key] else { throw missing(key) }
        return value
    }

    private func missing(_ key: String) -> SchedulerError {
        .unknownOption(scheduler: className, key: key, known: values.keys.sorted())
    }
}
