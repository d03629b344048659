#include "contract.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

// The compiler notes the file as a dependency: an edit of it is compiled in by the next build.
static const unsigned char contract[] = {
#embed "../../openapi.yaml"
};

const unsigned char *nl_contract_bytes(void) { return contract; }

size_t nl_contract_size(void) { return sizeof contract; }
