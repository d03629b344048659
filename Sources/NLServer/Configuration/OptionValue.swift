/// How the values of options are written, wherever they come from.
enum OptionValue {
    static func boolean(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "true", "yes", "on", "1": true
        case "false", "no", "off", "0": false
        default: nil
        }
    }

    /// `8388608`, `8192KiB`, `8MiB`, `1GiB`; `k`, `M`, `G` mean the same powers of 1024.
    static func bytes(_ text: String) -> Int? {
        let (number, unit) = split(text)
        let factor: Int
        switch unit.lowercased() {
        case "", "b": factor = 1
        case "k", "kib", "kb": factor = 1 << 10
        case "m", "mib", "mb": factor = 1 << 20
        case "g", "gib", "gb": factor = 1 << 30
        default: return nil
        }
        guard let value = Int(number) else { return nil }
        let (bytes, overflow) = value.multipliedReportingOverflow(by: factor)
        return overflow ? nil : bytes
    }

    /// `30` and `30s` are seconds; `500ms`, `5m`, `1h`, `1d`.
    static func duration(_ text: String) -> Duration? {
        let (number, unit) = split(text)
        let seconds: Double
        switch unit.lowercased() {
        case "ms": seconds = 0.001
        case "", "s": seconds = 1
        case "m", "min": seconds = 60
        case "h": seconds = 3600
        case "d": seconds = 86_400
        default: return nil
        }
        guard let value = Double(number), value.isFinite, value >= 0, value * seconds <= 1e9 else { return nil }
        return .seconds(value * seconds)
    }

    private static func split(_ text: String) -> (number: String, unit: String) {
        let unit = text.reversed().prefix { $0.isLetter }
        return (text.dropLast(unit.count).filter { $0 != "_" && $0 != " " }, String(unit.reversed()))
    }
}
