/// Of the program, not of the model.
enum ServerVersion {
    static let current = "0.1.0"
}
