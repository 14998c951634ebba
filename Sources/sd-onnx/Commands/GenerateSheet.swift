import ArgumentParser
import Foundation
import SDPipeline

/// Sheets of several commands' pictures, which differ in one or two options.
extension GenerateCommand {
    /// One of them, with what it stands for.
    private struct Cell {
        let command: GenerateCommand
        /// Values by the names of the sheet's options.
        let values: [String: String]
    }

    /// What `--json` says of one picture: what a PNG of its own would say, and the values that are its own.
    private struct Entry: Encodable {
        let values: [String: String]
        let record: GenerationRecord
        let seconds: Double

        private enum CodingKeys: String, CodingKey { case values, seconds }

        func encode(to encoder: any Encoder) throws {
            try record.encode(to: encoder)
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(values, forKey: .values)
            try container.encode(seconds, forKey: .seconds)
        }
    }

    /// Makes the sheet of `--xy`.
    ///
    /// - Parameters:
    ///   - arguments: those that this command was made of.
    ///   - file: where the sheet goes; nil for standard output.
    func runSheet(arguments: [String], file: URL?) throws {
        let (x, y) = (sheet.xy[0], sheet.xy.count > 1 ? sheet.xy[1] : nil)
        // One seed for all, unless it is one of the options.
        var seeds = ["--seed=\((seed ?? .drawn()).value)"]
        let names = sheet.xy.map(\.name)
        let isVaried =
            seeding.variationStrength != nil || names.contains { ["variation-strength", "subseed-strength"].contains($0) }
        if isVaried, seeding.variationSeed == nil { seeds.append("--variation-seed=\(Seed.drawn().value)") }
        let rows = try (0..<(y?.values.count ?? 1)).map { row in
            try x.values.indices.map { column in
                try cell(
                    arguments + seeds + x.arguments(column) + (y?.arguments(row) ?? []),
                    axes: [(x, column)] + (y.map { [($0, row)] } ?? []))
            }
        }
        let models = GenerateModels(rows.joined().map(\.command))
        // All that can be known before the work is known for every picture.
        for cell in rows.joined() {
            do { _ = try cell.command.plans(try models.configuration(for: cell.command), profile: nil) } catch {
                throw CommandFailure("\(Self.title(cell.values)): \(error)")
            }
        }
        var entries: [Entry] = []
        let images = try rows.map { row in
            try row.map { cell in
                let (image, entry) = try picture(of: cell, models)
                entries.append(entry)
                return image
            }
        }
        let image = try GridSheet(
            columns: x.values.map { [x.name, $0] }, rows: y.map { y in y.values.map { [y.name, $0] } } ?? [],
            cells: images
        ).image()
        try write(sheet: image, record: entries.first?.record, to: file)
        if json { try StandardStreams.printJSON(entries) }
    }

    /// Writes a sheet, which says of itself what its first picture would.
    func write(sheet: RGBImage, record: GenerationRecord?, to file: URL?) throws {
        let bytes = try PNGFile.encode(sheet, text: try text(record))
        if let file {
            try Interruption.whileWriting { try AtomicFile.write(bytes, to: file) }
        } else {
            try StandardStreams.writeOutput(bytes)
        }
    }

    private func cell(_ arguments: [String], axes: [(axis: SheetAxis, index: Int)]) throws -> Cell {
        let values = Dictionary(axes.map { ($0.axis.name, $0.axis.values[$0.index]) }, uniquingKeysWith: { $1 })
        do {
            return Cell(command: try Self.$isLine.withValue(true) { try Self.parse(arguments) }, values: values)
        } catch {
            let reason = Self.message(for: error).split(whereSeparator: \.isNewline).joined(separator: " ")
            throw CommandFailure("\(Self.title(values)): \(reason)")
        }
    }

    private func picture(of cell: Cell, _ models: GenerateModels) throws -> (image: RGBImage, entry: Entry) {
        let plans = try cell.command.plans(try models.configuration(for: cell.command), profile: nil)
        if !quiet, plans.first != nil { cell.command.warn(plans, try models.configuration(for: cell.command)) }
        let result = try models.pipeline(for: cell.command).pipeline.generate(plans[0])
        guard let image = result.images.first, let record = result.records.first else {
            throw CommandFailure("No picture was made.")
        }
        if !quiet { StandardStreams.printError(String(format: "%@: %.2f s", Self.title(cell.values), result.timings.total)) }
        return (image, Entry(values: cell.values, record: record, seconds: result.timings.total))
    }

    private static func title(_ values: [String: String]) -> String {
        values.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    }
}
