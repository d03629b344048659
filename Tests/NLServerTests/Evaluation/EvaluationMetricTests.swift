import Testing

@testable import NLServer

/// Catches a score that is not what the papers define: every value here is worked out by hand.
@Suite struct EvaluationMetricTests {
    @Test func rougeLRecallIsTheLongestCommonSubsequenceOverTheReference() {
        // "police kill the gunman" against "police killed the gunman": police, the, gunman of 4.
        #expect(AnswerMetric.rougeLRecall(of: "police killed the gunman", in: "Police kill the gunman!") == 0.75)
        // Order matters: "the gunman" or "police kill"/"kill police" give 2 of 4.
        #expect(AnswerMetric.rougeLRecall(of: "police killed the gunman", in: "the gunman kill police") == 0.5)
        #expect(AnswerMetric.rougeLRecall(of: "a b c", in: "x a y b z c w") == 1)
        #expect(AnswerMetric.rougeLRecall(of: "a b", in: "") == 0)
        #expect(AnswerMetric.rougeLRecall(of: "a a b", in: "a b a") == 2.0 / 3)
    }

    @Test func anAnswerIsFoundByWholeWordsOnly() {
        #expect(AnswerMetric.begins(" English, as far as", with: "English"))
        #expect(AnswerMetric.begins("English", with: " English "))
        #expect(!AnswerMetric.begins(" Englishman", with: "English"))
        #expect(!AnswerMetric.begins(" the English", with: "English"))
        #expect(!AnswerMetric.begins(" english", with: "English"))
        #expect(!AnswerMetric.begins(" anything", with: ""))
        #expect(AnswerMetric.isExact(" Paris.\n", "Paris."))
        #expect(!AnswerMetric.isExact("Paris", "Paris."))
    }

    @Test func closedBookAnswersAreComparedAsSQuADDoes() {
        #expect(AnswerMetric.normalized("The Broncos, of a city.") == ["broncos", "of", "city"])
        #expect(AnswerMetric.contains("It was the Denver Broncos who won", answer: "Denver Broncos."))
        #expect(!AnswerMetric.contains("Denver's Broncos", answer: "Denver Broncos"))
        #expect(!AnswerMetric.contains("Broncos Denver", answer: "Denver Broncos"))
        #expect(!AnswerMetric.contains("anything", answer: "the"))
    }

    @Test func retentionFiguresAreThoseOfTheirPapers() throws {
        var matrix = RetentionMatrix([[0.9], [0.5, 0.8]])
        matrix.append([0.6, 0.4, 1])
        #expect(abs(matrix.averageAccuracy - 2.0 / 3) < 1e-12)
        // (0.6 − 0.9 + 0.4 − 0.8) / 2.
        #expect(abs(try #require(matrix.backwardTransfer) + 0.35) < 1e-12)
        // Best before the end: 0.9 and 0.8; (0.3 + 0.4) / 2.
        #expect(abs(try #require(matrix.forgetting) - 0.35) < 1e-12)
        #expect(abs(matrix.netGain(over: [0.1, 0, 0.2]) - (2.0 / 3 - 0.1)) < 1e-12)
        // A task that was best in the middle: forgetting is from there, backward transfer from its own row.
        let risen = RetentionMatrix([[0.2], [0.6, 0.5], [0.4, 0.5, 0.5]])
        #expect(abs(try #require(risen.forgetting) - 0.1) < 1e-12)
        #expect(abs(try #require(risen.backwardTransfer) - 0.1) < 1e-12)
        #expect(RetentionMatrix([[0.5]]).forgetting == nil)
        #expect(RetentionMatrix([[0.5]]).backwardTransfer == nil)
        #expect(risen.replacingLast(by: [1, 1, 1]).averageAccuracy == 1)
    }

    @Test func sharesAreOfWhatWasAsked() {
        #expect(share([true, false, true, true]) == 0.75)
        #expect(share([Bool]()).isNaN)
    }
}
