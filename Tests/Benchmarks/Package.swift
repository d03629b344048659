// swift-tools-version: 6.3
import PackageDescription

// A package of its own, so that tests and the daemon are built without it. `deploy/bench` builds and runs it.
let package = Package(
    name: "benchmarks",
    dependencies: [
        .package(name: "nlserver", path: "../.."),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    ],
    targets: [
        .executableTarget(
            name: "nlbench",
            dependencies: [
                .product(name: "NLCore", package: "nlserver"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: [
                .enableUpcomingFeature("ExistentialAny"),
                .enableUpcomingFeature("MemberImportVisibility"),
                .enableUpcomingFeature("InternalImportsByDefault"),
            ]
        )
    ],
    swiftLanguageModes: [.v6]
)
