import Testing
@testable import Store
@Test func p() { #expect(1 == 1) }
