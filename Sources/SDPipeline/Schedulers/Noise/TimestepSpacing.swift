import Foundation

/// Which timesteps a run visits.
public enum TimestepRequest: Sendable, Equatable {
    /// That many steps, spaced as the settings say.
    case steps(Int)
    /// These timesteps, descending; for schedulers whose descriptor says `takesTimesteps`.
    case timesteps([Double])
    /// These noise levels, one more than there are steps; for schedulers whose descriptor says `takesSigmas`.
    case sigmas([Double])
    /// That many steps with the noise levels of a named schedule that isn't a setting of the scheduler.
    case named(NamedSchedule, steps: Int)

    /// The number of steps, where it is a number from 1 to that of the training timesteps.
    func stepCount(trainTimesteps: Int, scheduler: String) throws -> Int {
        guard case .steps(let count) = self else {
            throw SchedulerError.invalidSchedule(
                scheduler: scheduler, reason: "it takes a number of steps, not a list of timesteps or sigmas of its own")
        }
        guard (1...trainTimesteps).contains(count) else {
            throw SchedulerError.invalidSchedule(
                scheduler: scheduler,
                reason: "\(count) steps were asked for, expected 1 to \(trainTimesteps) (the model's training timesteps)")
        }
        return count
    }

    /// The given timesteps, where they are finite, descend and lie within the training timesteps.
    static func checked(_ timesteps: [Double], trainTimesteps: Int, scheduler: String) throws -> [Double] {
        let inRange = timesteps.allSatisfy { $0 >= 0 && $0 <= Double(trainTimesteps - 1) }
        let descends = zip(timesteps, timesteps.dropFirst()).allSatisfy { $0 > $1 }
        guard !timesteps.isEmpty, inRange, descends else {
            throw SchedulerError.invalidSchedule(
                scheduler: scheduler,
                reason: "the list of timesteps must descend and lie between \(trainTimesteps - 1) and 0")
        }
        return timesteps
    }

    /// The given noise levels in single precision, where they can be used.
    static func checkedSigmas(_ sigmas: [Double], trainTimesteps: Int, scheduler: String) throws -> [Double] {
        let single = sigmas.map { Double(Float($0)) }
        let areUsable = single.allSatisfy { $0.isFinite && $0 >= 0 } && single.dropLast().allSatisfy { $0 > 0 }
        let descends = zip(single, single.dropFirst()).allSatisfy { $0 >= $1 }
        guard single.count >= 2, trainTimesteps >= 2, areUsable, descends else {
            throw SchedulerError.invalidSchedule(
                scheduler: scheduler,
                reason:
                    "the list of sigmas must have at least two finite values above 0 that descend, of which only the last may be 0"
            )
        }
        return single
    }

    /// As `checked`, for schedulers whose timesteps are indices of the training timesteps.
    static func checkedWhole(_ timesteps: [Double], trainTimesteps: Int, scheduler: String) throws -> [Int] {
        let checked = try checked(timesteps, trainTimesteps: trainTimesteps, scheduler: scheduler)
        guard checked.allSatisfy({ $0 == $0.rounded() }) else {
            throw SchedulerError.invalidSchedule(scheduler: scheduler, reason: "its timesteps are whole numbers")
        }
        return checked.map { Int($0) }
    }
}

/// How the timesteps of a run are spread over the training timesteps (Lin et al. 2023, table 2).
public enum TimestepSpacing: String, Sendable, CaseIterable {
    /// Evenly from the first training timestep to the last, both included.
    case linspace
    /// Every so many from the first on, so that the last are left out.
    case leading
    /// Every so many from the last back, so that the first are left out.
    case trailing

    /// `count` timesteps, descending. Those of `linspace` are fractions, the others whole numbers.
    /// - Parameters:
    ///   - trainTimesteps: the number of training timesteps, at least `count`.
    ///   - count: the number of steps, at least 1.
    ///   - offset: added to `leading` timesteps (`steps_offset`).
    func timesteps(trainTimesteps: Int, count: Int, offset: Int) -> [Double] {
        switch self {
        case .linspace:
            return Self.linspace(0, Double(trainTimesteps - 1), count: count).reversed()
        case .leading:
            let ratio = trainTimesteps / count
            return (0..<count).reversed().map { Double($0 * ratio + offset) }
        case .trailing:
            return Self.trailing(from: trainTimesteps, trainTimesteps: trainTimesteps, count: count).map(Double.init)
        }
    }

    /// `trailing` timesteps that begin below `start`: as many of the distance that `count` steps over all training timesteps have.
    static func trailing(from start: Int, trainTimesteps: Int, count: Int) -> [Int] {
        // numpy.arange(start, 0, -ratio) adds multiples of the difference of its first two values. The rounding of that difference
        // can give diffusers one timestep more, −1, for counts such as 61: left out here.
        let ratio = Double(trainTimesteps) / Double(count)
        let start = Double(start)
        let difference = (start - ratio) - start
        let reached = start == Double(trainTimesteps) ? count : Int((start / ratio).rounded(.up))
        return (0..<reached).map { Int((start + Double($0) * difference).rounded(.toNearestOrEven)) - 1 }
    }

    /// The timesteps as indices of the training timesteps.
    /// - Throws: ``SchedulerError/invalidSchedule(scheduler:reason:)`` where an offset moves one out of range.
    func wholeTimesteps(trainTimesteps: Int, count: Int, offset: Int, scheduler: String) throws -> [Int] {
        let rounded = timesteps(trainTimesteps: trainTimesteps, count: count, offset: offset)
            .map { Int($0.rounded(.toNearestOrEven)) }
        if let wrong = rounded.first(where: { $0 < 0 || $0 >= trainTimesteps }) {
            throw SchedulerError.invalidSchedule(
                scheduler: scheduler,
                reason: "\(count) steps with a steps_offset of \(offset) reach timestep \(wrong), "
                    + "but the model was trained on timesteps 0 to \(trainTimesteps - 1)")
        }
        return rounded
    }

    /// The timesteps of `count` steps that the settings ask for (`timestep_spacing`, `steps_offset`), as indices of the training
    /// timesteps.
    /// - Throws: ``SchedulerError/invalidSchedule(scheduler:reason:)`` where an offset moves one out of range.
    static func wholeTimesteps(_ settings: SchedulerSettings, trainTimesteps: Int, count: Int) throws -> [Int] {
        try settings.choice("timestep_spacing", as: TimestepSpacing.self).wholeTimesteps(
            trainTimesteps: trainTimesteps, count: count, offset: settings.integer("steps_offset"),
            scheduler: settings.className)
    }

    /// `numpy.linspace`.
    static func linspace(_ start: Double, _ end: Double, count: Int) -> [Double] {
        guard count > 1 else { return [Double](repeating: start, count: count) }
        let step = (end - start) / Double(count - 1)
        var values = (0..<count).map { Double($0) * step + start }
        values[count - 1] = end
        return values
    }
}
