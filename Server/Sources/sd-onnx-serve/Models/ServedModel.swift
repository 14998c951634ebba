import Foundation
import SDPipeline
import Synchronization

/// A model that the server has, by the name of its folder.
final class ServedModel: Sendable {
    let name: String
    let configuration: PipelineConfiguration
    let created: Date
    private let knownHash = Mutex<String?>(nil)

    init(name: String, configuration: PipelineConfiguration) {
        self.name = name
        self.configuration = configuration
        created = Date()
        // Reading gigabytes takes seconds, which no request waits for.
        Thread.detachNewThread { [self] in
            let value = ModelHash(configuration.folder).value
            knownHash.withLock { $0 = value }
        }
    }

    /// What its folder says, for a pipeline that is given LoRAs later.
    var configurationForLoRAs: PipelineConfiguration {
        get throws { try PipelineConfiguration(modelFolder: configuration.folder.url, takesLoRAs: true) }
    }

    /// The SHA-256 of its files, once they are read.
    var sha256: String? { knownHash.withLock { $0 } }
    var shortHash: String? { sha256.map { String($0.prefix(10)) } }

    /// The steps of requests that state none.
    var defaultSteps: Int { configuration.defaultGuidanceScale > 1 ? 20 : 4 }
}
