import Foundation

/// A passage to be read, and questions to be answered without it.
struct PassageCase: Decodable, Sendable, Equatable {
    struct Question: Decodable, Sendable, Equatable {
        var question: String
        var answer: String
    }

    var title: String
    var context: String
    var questions: [Question]

    /// SQuAD v1.1 as SEAL uses it (Rajpurkar et al. 2016; Zweiger et al. 2025).
    static func squad(_ files: EvaluationFiles) throws -> [PassageCase] {
        try files.json("squad-v1.1-dev/squad_val.json.gz")
    }

    /// Passages of one title as one, in order, with all their questions.
    static func articles(of passages: [PassageCase]) -> [PassageCase] {
        var articles: [PassageCase] = []
        for passage in passages {
            if let last = articles.indices.last, articles[last].title == passage.title {
                articles[last].context += "\n" + passage.context
                articles[last].questions += passage.questions
            } else {
                articles.append(passage)
            }
        }
        return articles
    }
}

/// An article of an encyclopedia.
struct Article: Decodable, Sendable, Equatable {
    var id: String
    var title: String
    var text: String

    private enum CodingKeys: String, CodingKey { case id, title, text }

    init(from decoder: any Decoder) throws {
        let c = try decoder.container(keyedBy: CodingKeys.self)
        id = try (try? c.decode(Int.self, forKey: .id)).map(String.init) ?? c.decode(String.self, forKey: .id)
        title = try c.decode(String.self, forKey: .title)
        text = try c.decode(String.self, forKey: .text)
    }

    /// Wikipedia articles that were not trained on, of at least so many characters, cut to them.
    static func wikipedia(_ files: EvaluationFiles, characters: Int) throws -> [Article] {
        let all: [Article] = try files.jsonLines("wikipedia-en-2015/valid.jsonl.xz")
        return all.filter { $0.text.count >= characters }.map { article in
            var article = article
            article.text = String(article.text.prefix(characters))
            return article
        }
    }

    var document: EvaluationDocument { EvaluationDocument(id: "wiki-\(id)", title: title, text: text) }
}
