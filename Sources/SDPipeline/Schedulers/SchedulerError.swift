/// What can be wrong with a scheduler's name, configuration or use. `description` is one sentence for a person.
public enum SchedulerError: Error, Sendable, Equatable, CustomStringConvertible {
    /// No scheduler has this name.
    case unknownScheduler(name: String, closest: [String], known: [String])
    /// Another program has a scheduler or noise levels of this name, and this one hasn't.
    case refusedScheduler(name: String, reason: String)
    /// The configuration file can't be read, or isn't a JSON object.
    case unreadableConfiguration(path: String, reason: String)
    /// A key has a value of a wrong type or out of its range.
    case invalidValue(scheduler: String, key: String, found: String, expected: String)
    /// The scheduler has no such option.
    case unknownOption(scheduler: String, key: String, known: [String])
    /// Two keys of the configuration contradict each other.
    case contradiction(scheduler: String, reason: String)
    /// The number of steps, or the list of timesteps or sigmas, can't be used.
    case invalidSchedule(scheduler: String, reason: String)
    /// A step was called with what doesn't fit: sizes, an index out of range, missing state.
    case invalidStep(scheduler: String, reason: String)

    public var description: String {
        switch self {
        case .unknownScheduler(let name, let closest, let known):
            let hint = closest.isEmpty ? "" : " Did you mean \(closest.joined(separator: ", "))?"
            return "There is no scheduler \"\(name)\".\(hint) Known schedulers: \(known.joined(separator: ", "))."
        case .refusedScheduler(let name, let reason):
            return "The scheduler \"\(name)\" isn't built: \(reason)."
        case .unreadableConfiguration(let path, let reason):
            return "The scheduler configuration \(path) can't be used: \(reason)."
        case .invalidValue(let scheduler, let key, let found, let expected):
            return "\(scheduler): \(key) is \(found), expected \(expected)."
        case .unknownOption(let scheduler, let key, let known):
            let others = known.isEmpty ? "It has none." : "Its options: \(known.joined(separator: ", "))."
            return "\(scheduler) has no option \(key). \(others)"
        case .contradiction(let scheduler, let reason),
            .invalidSchedule(let scheduler, let reason),
            .invalidStep(let scheduler, let reason):
            return "\(scheduler): \(reason)."
        }
    }
}
