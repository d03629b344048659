// Matrix products of single precision.
#ifndef NL_PRODUCT_H
#define NL_PRODUCT_H

#include <stdbool.h>
#include <stddef.h>

#include "isa.h"

/// Terms of the longest sum that is one chain; longer ones are cut into such chains, added up from the first.
enum { nl_longest_chain = 512 };

/// C <- op(A) op(B) (+ C), row-major; op(A) is m x k, op(B) is k x n.
/// Every chain begins at zero and adds its products one by one, in order, fused where the processor can.
void nl_product(
    enum nl_isa isa, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const float *_Nonnull a, ptrdiff_t lda, bool transpose_a,
    const float *_Nonnull b, ptrdiff_t ldb, bool transpose_b, float *_Nonnull c, ptrdiff_t ldc, bool accumulate);

#endif
