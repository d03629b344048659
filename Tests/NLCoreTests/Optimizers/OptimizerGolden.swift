import Foundation
import NLCore
import TestSupport

/// `Tests/Fixtures/Hope/adamw.safetensors`: what PyTorch's optimizer and clipping gave.
struct OptimizerGolden {
    let beta1: Double
    let beta2: Double
    let epsilon: Double
    let weightDecay: Double
    private let file: SafetensorsFile

    private struct Hyperparameters: Decodable {
        let beta1: Double
        let beta2: Double
        let epsilon: Double
        let weight_decay: [String: Double]
    }

    init() throws {
        file = try SafetensorsFile(contentsOf: Fixtures.directory("Hope").appending(path: "adamw.safetensors"))
        let read = try JSONDecoder().decode(Hyperparameters.self, from: Data((file.metadata["config"] ?? "").utf8))
        (beta1, beta2, epsilon) = (read.beta1, read.beta2, read.epsilon)
        weightDecay = read.weight_decay["matrix"] ?? .nan
    }

    func tensor(_ name: String) throws -> Tensor<Double> {
        Tensor(try file.doubles(named: name), shape: Shape(file.tensor(named: name)?.shape ?? []))
    }
}
