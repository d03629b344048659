#pragma once

#include <stddef.h>

/// The bytes of openapi.yaml, as it was when this was compiled; no zero follows them.
const unsigned char *nl_contract_bytes(void);

/// How many there are.
size_t nl_contract_size(void);
