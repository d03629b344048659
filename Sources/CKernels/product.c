#include "include/product.h"

#include <pthread.h>
#include <stdlib.h>

#include "vector.h"

static float *nl_thread_scratch(void);

// From this many rows on, B's panel is read often enough to pay for laying it out densely first.
#define NL_PACKING_ROWS 384
// Up to this many rows, a transposed B is not laid out at all.
#define NL_TURNED_ROWS 4
// Columns of the widest panel, on any instruction set.
#define NL_PANEL_COLUMNS 128

#define MOST_ROWS 2
#define TILE_VECTORS 1
#define FEW_ROWS 1
#define WIDE_VECTORS 2
#define TURNED_ROWS 1
#define TURNED_GROUPS 1
#define ISA(name) name##_portable
#include "product_body.h"
#undef ISA
#undef MOST_ROWS
#undef TILE_VECTORS
#undef FEW_ROWS
#undef WIDE_VECTORS
#undef TURNED_ROWS
#undef TURNED_GROUPS

#if defined(__x86_64__)
#pragma clang attribute push(NL_AVX2, apply_to = function)
#define MOST_ROWS 6
#define TILE_VECTORS 1
#define FEW_ROWS 2
#define WIDE_VECTORS 3
#define TURNED_ROWS 2
#define TURNED_GROUPS 1
#define ISA(name) name##_avx2
#include "product_body.h"
#undef ISA
#undef MOST_ROWS
#undef TILE_VECTORS
#undef FEW_ROWS
#undef WIDE_VECTORS
#undef TURNED_ROWS
#undef TURNED_GROUPS
#pragma clang attribute pop

#pragma clang attribute push(NL_AVX512, apply_to = function)
#define MOST_ROWS 6
#define TILE_VECTORS 4
#define FEW_ROWS 3
#define WIDE_VECTORS 8
#define TURNED_ROWS 4
#define TURNED_GROUPS 2
#define ISA(name) name##_avx512
#include "product_body.h"
#undef ISA
#undef MOST_ROWS
#undef TILE_VECTORS
#undef FEW_ROWS
#undef WIDE_VECTORS
#undef TURNED_ROWS
#undef TURNED_GROUPS
#pragma clang attribute pop
#endif

typedef void (*product_function)(
    ptrdiff_t, ptrdiff_t, ptrdiff_t, const float *, ptrdiff_t, ptrdiff_t, const float *, ptrdiff_t, int, float *,
    ptrdiff_t, int);

static const product_function products[] = {
    product_portable,
#if defined(__x86_64__)
    product_avx2, product_avx512,
#endif
};

void nl_product(
    enum nl_isa isa, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const float *a, ptrdiff_t lda, bool transpose_a,
    const float *b, ptrdiff_t ldb, bool transpose_b, float *c, ptrdiff_t ldc, bool accumulate) {
    const ptrdiff_t a_row = transpose_a ? 1 : lda, a_term = transpose_a ? lda : 1;
    const ptrdiff_t b_term = transpose_b ? 1 : ldb;
    for (ptrdiff_t p = 0; p < k; p += nl_longest_chain) {
        ptrdiff_t terms = k - p < nl_longest_chain ? k - p : nl_longest_chain;
        products[isa](
            m, n, terms, a + p * a_term, a_row, a_term, b + p * b_term, ldb, transpose_b, c, ldc, accumulate || p > 0);
    }
}

// MARK: Scratch

static pthread_key_t scratch_key;
static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;
static _Thread_local float *scratch;

static void make_scratch_key(void) {
    if (pthread_key_create(&scratch_key, free) != 0) abort();
}

// Room for a panel of the longest chain: 256 KiB for each thread that multiplies, freed when it ends.
static float *nl_thread_scratch(void) {
    if (scratch) return scratch;
    pthread_once(&scratch_once, make_scratch_key);
    void *made = NULL;
    if (posix_memalign(&made, 64, sizeof(float) * NL_PANEL_COLUMNS * nl_longest_chain) != 0) abort();
    pthread_setspecific(scratch_key, made);
    return scratch = made;
}
