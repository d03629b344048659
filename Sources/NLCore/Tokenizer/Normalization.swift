import Foundation

/// Canonical composition (NFC).
func normalizedNFC(_ text: String) -> String {
    text.precomposedStringWithCanonicalMapping
}

/// False only for text that NFC leaves alone: every scalar below U+0300 is stable unless one above combines with it,
/// and those begin with the byte 0xCC or a larger one.
func mayChangeUnderNFC(_ text: Span<UInt8>) -> Bool {
    for index in 0..<text.count where text[index] >= 0xCC { return true }
    return false
}
