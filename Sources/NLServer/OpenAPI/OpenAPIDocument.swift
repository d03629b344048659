import CContract

/// The contract, `openapi.yaml`, compiled into the binary, so that a copied executable can serve it.
enum OpenAPIDocument {
    static let yaml = String(
        decoding: UnsafeBufferPointer(start: nl_contract_bytes(), count: nl_contract_size()), as: UTF8.self)
}
