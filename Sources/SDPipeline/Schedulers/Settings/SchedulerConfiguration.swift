import Foundation
import ONNXLoader

/// The content of a model's `scheduler/scheduler_config.json`: which scheduler the model was made for, and the keys
/// that the file states.
///
/// What a file doesn't state is the default of the scheduler that is used, not of the one that the file names. This is
/// what diffusers' `from_config` does: a scheduler of another class takes every key that it knows from the file and
/// fills in the others from its own defaults.
public struct SchedulerConfiguration: Sendable, Equatable {
    /// The diffusers class that the file names, such as `DDIMScheduler`; nil where it names none.
    public let className: String?
    /// The stated keys; those that start with an underscore or were recorded as defaults are left out.
    public private(set) var values: [String: SchedulerValue]
    /// Values that hold only for the scheduler that the file names (see `adjustedForStableDiffusion`).
    private(set) var ownValues: [String: SchedulerValue] = [:]

    /// A configuration of these values, which are checked when a scheduler is made.
    public init(className: String?, values: [String: SchedulerValue] = [:]) {
        self.className = className
        self.values = values
    }

    /// Reads a `scheduler_config.json`.
    /// - Parameters:
    ///   - json: the bytes of the file.
    ///   - path: the name used in errors.
    /// - Throws: ``SchedulerError/unreadableConfiguration(path:reason:)`` when the bytes aren't one JSON object.
    public init(json: Data, path: String = "scheduler_config.json") throws {
        let decoded: [String: SchedulerValue]
        let bytes = [UInt8](json)
        do { decoded = try JSONText.decode([String: SchedulerValue].self, from: bytes) } catch let error as JSONText.FormatError
        {
            throw SchedulerError.unreadableConfiguration(path: path, reason: error.reason)
        } catch {
            throw SchedulerError.unreadableConfiguration(path: path, reason: "it isn't a JSON object")
        }
        // `_use_default_values` names keys that diffusers wrote although nobody had stated them.
        let defaults = Self.defaultedKeys(in: bytes)
        switch decoded["_class_name"] {
        case .text(let name): className = name
        case nil, .absent: className = nil
        case .some(let other):
            throw SchedulerError.unreadableConfiguration(path: path, reason: "_class_name is \(other), expected a text")
        }
        values = decoded.filter { key, _ in !key.hasPrefix("_") && !defaults.contains(key) && key != "quantization_config" }
    }

    /// Reads a `scheduler_config.json`.
    /// - Throws: ``SchedulerError/unreadableConfiguration(path:reason:)`` when there is no such file or it isn't one JSON object.
    public init(contentsOf url: URL) throws {
        let bytes: [UInt8]
        do { bytes = try BoundedFile.read(url, limit: JSONText.largestSize) } catch {
            throw SchedulerError.unreadableConfiguration(path: url.path, reason: error.reason)
        }
        try self.init(json: Data(bytes), path: url.path)
    }

    private static func defaultedKeys(in json: [UInt8]) -> Set<String> {
        struct Recorded: Decodable {
            let keys: [String]?
            enum CodingKeys: String, CodingKey { case keys = "_use_default_values" }
        }
        return Set((try? JSONText.decode(Recorded.self, from: json))?.keys ?? [])
    }

    /// States a key, as a flag on the command line does; it replaces what the file says.
    public mutating func set(_ key: String, to value: SchedulerValue) {
        values[key] = value
        ownValues[key] = nil
    }

    /// The configuration as diffusers' `StableDiffusionPipeline` changes it when it loads a model: `steps_offset` is 1
    /// and `clip_sample` is false, whatever the file says (it calls other values outdated).
    ///
    /// A value that the file states is changed for every scheduler that takes over this configuration; one that it
    /// doesn't state is changed only for the scheduler that the file names, since a scheduler of another class comes
    /// with its own default.
    public func adjustedForStableDiffusion() -> SchedulerConfiguration {
        var result = self
        for (key, value) in [("steps_offset", SchedulerValue.integer(1)), ("clip_sample", .flag(false))] {
            if values[key] != nil {
                result.values[key] = value
            } else {
                result.ownValues[key] = value
            }
        }
        return result
    }

    /// The keys that no scheduler of diffusers defines, sorted: worth a warning, since they are ignored.
    public var unknownKeys: [String] {
        values.keys.filter { !SchedulerParameter.keysOfAllSchedulers.contains($0) }.sorted()
    }
}
