import Foundation

/// Names that clients choose or the store makes up: of spaces, sessions, documents, jobs.
enum Identifier {
    static let maximumByteCount = 256

    /// A new random one, `doc-3f2a…`.
    static func make(_ prefix: String) -> String {
        prefix + "-" + UUID().uuidString.lowercased().replacing("-", with: "")
    }

    /// - Throws: ``StoreError/invalid(_:reason:)``: a NUL would cut the bound C string, so that two ids became one.
    static func check(_ id: String, in table: String) throws(StoreError) {
        guard !id.isEmpty, id.utf8.count <= maximumByteCount, !id.utf8.contains(0) else {
            throw .invalid(
                StoreRow(table, id), reason: "an id has 1 to \(maximumByteCount) bytes of UTF-8 and no NUL")
        }
    }

    /// - Throws: ``StoreError/invalid(_:reason:)``.
    static func checkText(_ text: String?, named name: String, row: StoreRow) throws(StoreError) {
        guard text?.utf8.contains(0) != true else { throw .invalid(row, reason: "its \(name) contains a NUL") }
    }
}
