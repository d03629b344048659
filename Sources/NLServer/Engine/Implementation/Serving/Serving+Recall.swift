import NLCore
import Store

extension Serving {
    /// Passages looked at; those that do not fit the budget are passed over.
    private static let candidates = 32

    /// What is read before a request's input; nil without recall.
    func recall(for request: GenerationRequest) async throws -> RecalledPassages? {
        guard request.recall != .weights else { return nil }
        let (space, query) = (
            request.space, try await prepare { [context] in Self.query(request.input, context.model) }
        )
        let passages = try await context.database { store in
            try store.read { try $0.passages(space: space, near: query, limit: Self.candidates) }
        }
        let budget = request.recallBudget ?? context.configuration.recallBudgetTokens
        return try await prepare { [context] in RecalledPassages(passages, budget: budget, model: context.model) }
    }

    /// What is looked for: the prompt, or what the user said last.
    private static func query(_ input: GenerationRequest.Input, _ model: LoadedModel) -> String {
        switch input {
        case .text(let text): text
        case .tokens(let tokens):
            // Ids outside the vocabulary are refused where the input is read.
            model.tokenizer.decode(
                tokens.filter { (0..<model.tokenizer.vocabularySize).contains($0) }, skipSpecialTokens: true)
        case .messages(let messages): (messages.last { $0.role == .user } ?? messages.last)?.content ?? ""
        }
    }
}

/// Passages of the journal as they are read before an input: each followed by an empty line, the nearest last, so that
/// it stands next to what it is asked for.
struct RecalledPassages: Sendable {
    /// What ends a passage.
    static let separator = "\n\n"

    /// Whose passages they are, nearest first.
    let documents: [RecalledDocument]
    let tokens: [Int32]

    /// Takes passages, nearest first, as long as they fit. The nearest is cut where it alone is too long.
    ///
    /// - Parameters:
    ///   - passages: nearest first.
    ///   - budget: most tokens, at least 1.
    init(_ passages: [Passage], budget: Int, model: LoadedModel) {
        var taken: [[Int32]] = []
        var documents: [RecalledDocument] = []
        var room = budget
        let best = passages.first?.score ?? 0
        for passage in passages {
            var tokens = model.tokens(of: passage.text + Self.separator)
            if tokens.count > room {
                guard taken.isEmpty else { continue }
                tokens = Array(tokens.prefix(room))
            }
            room -= tokens.count
            taken.append(tokens)
            if !documents.contains(where: { $0.id == passage.document }) {
                documents.append(
                    RecalledDocument(id: passage.document, score: best > 0 ? passage.score / best : 1))
            }
        }
        self.documents = documents
        tokens = taken.reversed().flatMap(\.self)
    }
}
