/// One place a part of a parallel section, for what the part returns.
///
/// `@unchecked Sendable`: every part writes its own place, and all have returned before the places are read.
final class Slots<Element>: @unchecked Sendable {
    private let places: UnsafeMutableBufferPointer<Element?>

    init(count: Int) {
        places = .allocate(capacity: count)
        places.initialize(repeating: nil)
    }

    deinit {
        places.deinitialize()
        places.deallocate()
    }

    /// Writes one part's place.
    func fill(_ part: Int, with element: Element) { places[part] = element }

    /// What the parts wrote, in order.
    ///
    /// - Precondition: every part has written.
    func take() -> [Element] {
        places.map { place in
            guard let place else { preconditionFailure("a part of a parallel section wrote nothing") }
            return place
        }
    }
}
