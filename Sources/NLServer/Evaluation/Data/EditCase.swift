/// One edit: a statement to be learned, asked for in two ways, and a neighbour that must stay as it is.
struct EditCase: Sendable, Equatable {
    var id: String
    var prompt: String
    var target: String
    var rephrase: String?
    var locality: String?
    /// What is true of the neighbour: says how many tokens of its continuation are compared.
    var localityTruth: String?

    /// What is learned.
    var document: EvaluationDocument { EvaluationDocument(id: id, text: "\(prompt) \(target).") }
}

extension EditCase {
    /// CounterFact as EasyEdit writes it (Meng et al. 2022; Wang et al. 2023).
    struct CounterFact: Decodable {
        var case_id: Int
        var prompt: String
        var target_new: String
        var rephrase_prompt: String?
        var locality_prompt: String?
        var locality_ground_truth: String?

        var edit: EditCase {
            EditCase(
                id: "counterfact-\(case_id)", prompt: prompt, target: target_new, rephrase: rephrase_prompt,
                locality: locality_prompt, localityTruth: locality_ground_truth)
        }
    }

    /// zsRE as MEND writes it (Levy et al. 2017; Mitchell et al. 2022): `alt` is the new answer.
    struct ZsRE: Decodable {
        var src: String
        var alt: String
        var rephrase: String?
        var loc: String?
        var loc_ans: String?

        func edit(_ index: Int) -> EditCase {
            EditCase(
                id: "zsre-\(index)", prompt: src, target: alt, rephrase: rephrase, locality: loc, localityTruth: loc_ans
            )
        }
    }

    static func counterFact(_ files: EvaluationFiles) throws -> [EditCase] {
        try files.json("counterfact/counterfact-edit.json.gz", as: [CounterFact].self).map(\.edit)
    }

    static func zsRE(_ files: EvaluationFiles) throws -> [EditCase] {
        try files.json("zsre/zsre_mend_eval.json", as: [ZsRE].self).enumerated().map { $0.element.edit($0.offset) }
    }
}
