import HTTPTypes
import Hummingbird

/// Which paths exist with which methods: what tells 404 from 405.
struct RouteTable: Sendable {
    struct Route: Sendable, Hashable {
        /// As in the contract: `/v1/jobs/{id}`.
        var path: String
        var method: HTTPRequest.Method
    }

    let routes: [Route]
    private let methodsByTemplate: [(parts: [Substring], methods: [HTTPRequest.Method])]

    init(_ descriptions: [Router<ServerContext>.RouteDescription]) {
        routes = descriptions.map { Route(path: $0.path.description, method: $0.method) }
        methodsByTemplate = Dictionary(grouping: routes, by: \.path)
            .map { path, routes in (path.split(separator: "/"), routes.map(\.method)) }
    }

    /// The methods that this path answers to, sorted; empty if there is no such path.
    func methods(for path: String) -> [HTTPRequest.Method] {
        let parts = path.split(separator: "/")
        var found: Set<HTTPRequest.Method> = []
        for (template, methods) in methodsByTemplate where template.count == parts.count {
            guard zip(template, parts).allSatisfy({ $0.hasPrefix("{") || $0 == $1 }) else { continue }
            found.formUnion(methods)
        }
        if found.contains(.get) { found.insert(.head) }
        return found.sorted { $0.rawValue < $1.rawValue }
    }
}
