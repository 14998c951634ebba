import Foundation
import SDPipeline

/// The same prompt and seed with several schedulers, as one labelled picture.
struct SchedulerComparison {
    struct Entry: Encodable {
        let scheduler: String
        let schedulerClass: String
        let seconds: Double
        let unetEvaluations: Int
        /// Of each picture, where the safety checker was asked.
        let flagged: [Bool]?
    }

    let names: [String]

    /// The names of a list as `--scheduler` takes it; nil where it names no more than one.
    static func names(_ list: String?) -> [String]? {
        guard let list, list.contains(",") else { return nil }
        return list.split(separator: ",", omittingEmptySubsequences: false).map { $0.trimmingCharacters(in: .whitespaces) }
    }

    /// All schedulers for models of diffusion; over a picture PNDM without its Runge-Kutta
    /// steps, which can't start in the middle.
    static func standardNames(overPicture: Bool) -> [String] {
        SchedulerRegistry.standard.descriptors.filter { $0.modelKind == .diffusion }.map(\.shortName)
            .map { $0 == "pndm" && overPicture ? "plms" : $0 }
    }

    /// Makes the pictures.
    ///
    /// - Parameters:
    ///   - plans: one for each name.
    ///   - progress: called after each scheduler with its entry.
    /// - Returns: the sheet, of about as many rows as columns, what was measured, and what the sheet says of itself.
    func run(
        _ pipeline: StableDiffusionPipeline, plans: [GenerationPlan], progress: (Entry) -> Void
    ) throws -> (sheet: RGBImage, entries: [Entry], record: GenerationRecord?) {
        guard let first = plans.first?.request else { throw CommandFailure("There is no scheduler to compare.") }
        // The first run of a graph plans it, which would count as the first scheduler's time.
        var trial = first
        (trial.scheduler, trial.schedulerOverrides, trial.stepOptions) = ("euler", [:], SchedulerStepOptions())
        // Two, so that a refiner has one of its own.
        (trial.timestepRequest, trial.steps, trial.strength) = (nil, 2, 1)
        if trial.refinerStart != nil || pipeline.configuration.refiner != nil { trial.refinerStart = 0.5 }
        trial.checksSafety = false
        // Which may be for another scheduler.
        (trial.isFast, trial.stepCaching, trial.guidanceInterval) = (false, nil, nil)
        _ = try pipeline.generate(trial)
        var entries: [Entry] = []
        var record: GenerationRecord?
        var cells: [ContactSheet.Cell] = []
        for (name, plan) in zip(names, plans) {
            let result = try pipeline.generate(plan)
            let entry = Entry(
                scheduler: name, schedulerClass: result.schedulerName, seconds: result.timings.total,
                unetEvaluations: result.timesteps.count, flagged: result.flagged)
            entries.append(entry)
            record = record ?? result.records.first
            progress(entry)
            for (number, image) in result.images.enumerated() {
                cells.append(
                    ContactSheet.Cell(
                        image: image,
                        lines: number == 0
                            ? [name, String(format: "%.2f s, %d unet", entry.seconds, entry.unetEvaluations)] : []))
            }
        }
        let columns =
            first.batchCount > 1 ? first.batchCount : max(Int(Double(cells.count).squareRoot().rounded(.up)), 1)
        // The sheet is of all schedulers, and of all pictures of the batch.
        record?.scheduler = names.joined(separator: ", ")
        record?.schedulerClass = entries.map(\.schedulerClass).joined(separator: ", ")
        record?.schedulerSettings = [:]
        record?.isFlagged = nil
        return (try ContactSheet(cells: cells, columns: columns).image(), entries, record)
    }
}
