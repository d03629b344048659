#include "include/packed.h"

#include "include/product.h"
#include "vector.h"

// From this many rows on, a chain's weights are read often enough to be expanded into memory first.
#define NL_EXPANDING_ROWS 36

typedef uint16_t half_word __attribute__((aligned(1)));
typedef uint32_t whole_word __attribute__((aligned(1)));

// Lanes of a vector, and with that half the outputs of a strip. AVX-512 has registers twice as wide and twice as many.
#define LANES 4
#define MOST_ROWS 4
#define TILE_STRIPS 1
#define FEW_ROWS 2
#define FEW_STRIPS 2
#define ONE_STRIPS 4
#define ISA(name) name##_portable
#include "packed_body.h"
#undef ISA
#undef LANES
#undef MOST_ROWS
#undef TILE_STRIPS
#undef FEW_ROWS
#undef FEW_STRIPS
#undef ONE_STRIPS

#if defined(__x86_64__)
#pragma clang attribute push(NL_AVX2, apply_to = function)
#define LANES 8
#define MOST_ROWS 6
#define TILE_STRIPS 1
#define FEW_ROWS 2
#define FEW_STRIPS 2
#define ONE_STRIPS 4
#define ISA(name) name##_avx2
#include "packed_body.h"
#undef ISA
#undef LANES
#undef MOST_ROWS
#undef TILE_STRIPS
#undef FEW_ROWS
#undef FEW_STRIPS
#undef ONE_STRIPS
#pragma clang attribute pop

#pragma clang attribute push(NL_AVX512, apply_to = function)
#define LANES 16
#define MOST_ROWS 6
#define TILE_STRIPS 2
#define FEW_ROWS 3
#define FEW_STRIPS 4
#define ONE_STRIPS 4
#define ISA(name) name##_avx512
#include "packed_body.h"
#undef ISA
#undef LANES
#undef MOST_ROWS
#undef TILE_STRIPS
#undef FEW_ROWS
#undef FEW_STRIPS
#undef ONE_STRIPS
#pragma clang attribute pop
#endif

#if defined(__x86_64__)
#define NL_CALL(name, ...)                                        \
    (isa == nl_isa_avx512     ? name##_avx512(__VA_ARGS__)        \
         : isa == nl_isa_avx2 ? name##_avx2(__VA_ARGS__)          \
                              : name##_portable(__VA_ARGS__))
#else
#define NL_CALL(name, ...) ((void)isa, name##_portable(__VA_ARGS__))
#endif

ptrdiff_t nl_strip_outputs(enum nl_isa isa) {
    static const ptrdiff_t lanes[] = {4, 8, 16};
    return 2 * lanes[isa];
}

ptrdiff_t nl_strip_bytes(enum nl_isa isa, enum nl_weights held, ptrdiff_t k) {
    return nl_strip_outputs(isa) * ((k + 1) / 2 * 2) * (held == nl_bfloat16 ? 2 : 1);
}

void nl_pack_strip(
    enum nl_isa isa, enum nl_weights held, ptrdiff_t k, const void *const *rows, void *strip) {
    held == nl_bfloat16 ? NL_CALL(pack_bfloat16, k, rows, strip) : NL_CALL(pack_int8, k, rows, strip);
}

void nl_pack_sum(enum nl_isa isa, ptrdiff_t k, ptrdiff_t n, const float *a, const float *b, void *strips) {
    NL_CALL(pack_sum, k, n, a, b, strips);
}

void nl_unpack_output(
    enum nl_isa isa, enum nl_weights held, ptrdiff_t k, const void *strip, ptrdiff_t output, float scale, float *y) {
    const ptrdiff_t lanes = nl_strip_outputs(isa) / 2, lane = output % lanes, half = output / lanes;
    if (held == nl_bfloat16) {
        const uint32_t *words = (const uint32_t *)strip + output;
        for (ptrdiff_t p = 0; p < k; p++) {
            uint32_t pair = words[2 * lanes * (p / 2)], bits = p % 2 ? pair << 16 : pair & 0xffff0000u;
            memcpy(y + p, &bits, sizeof bits);
        }
    } else {
        const int8_t *bytes = (const int8_t *)strip + 4 * lane + half;
        for (ptrdiff_t p = 0; p < k; p++) y[p] = scale * bytes[4 * lanes * (p / 2) + 2 * (p % 2)];
    }
}

void nl_packed_product(
    enum nl_isa isa, enum nl_weights held, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const float *a, ptrdiff_t lda,
    const void *strips, const float *scales, float *c, ptrdiff_t ldc, bool accumulate) {
    if (held == nl_bfloat16)
        NL_CALL(product_bfloat16, m, n, k, a, lda, strips, scales, c, ldc, accumulate);
    else
        NL_CALL(product_int8, m, n, k, a, lda, strips, scales, c, ldc, accumulate);
}

float nl_quantize(enum nl_isa isa, ptrdiff_t k, const float *x, int8_t *q) { return NL_CALL(quantize, k, x, q); }

bool nl_is_bfloat16(enum nl_isa isa, size_t count, const float *x) { return NL_CALL(is_bfloat16, count, x); }

bool nl_is_finite(enum nl_isa isa, size_t count, const void *x) { return NL_CALL(is_finite, count, x); }

bool nl_is_finite_bfloat16(enum nl_isa isa, size_t count, const void *x) {
    return NL_CALL(is_finite_bfloat16, count, x);
}
