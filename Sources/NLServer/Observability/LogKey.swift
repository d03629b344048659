/// Names of log metadata, in one place. None of them ever holds text of a prompt, an answer or a document.
enum LogKey {
    static let requestID = "request_id"
    static let method = "method"
    static let route = "route"
    static let status = "status"
    static let seconds = "seconds"
    static let error = "error"
}
