import Foundation

/// Where things are when nobody says.
enum DefaultPaths {
    /// The shipped model: under the working directory, or beside the executable's checkout or installation.
    static func model(
        executable: URL? = Bundle.main.executableURL,
        workingDirectory: String = FileManager.default.currentDirectoryPath
    ) -> String {
        var candidates = [URL(filePath: workingDirectory).appending(path: "deploy/model")]
        if var directory = executable?.resolvingSymlinksInPath().deletingLastPathComponent() {
            candidates.append(directory.appending(path: "../share/nlserver/model").standardized)
            // `.build/<triple>/release/nlserver` is three folders below the checkout.
            for _ in 0..<5 {
                candidates.append(directory.appending(path: "deploy/model"))
                directory.deleteLastPathComponent()
            }
        }
        let found = candidates.first { FileManager.default.fileExists(atPath: $0.appending(path: "config.json").path) }
        return (found ?? candidates[0]).path
    }

    /// `$XDG_STATE_HOME/nlserver/nlserver.sqlite`, by default under `~/.local/state`.
    static func database(environment: [String: String]) -> String {
        let state =
            environment["XDG_STATE_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil }
            ?? (environment["HOME"] ?? NSHomeDirectory()) + "/.local/state"
        return state + "/nlserver/nlserver.sqlite"
    }
}
