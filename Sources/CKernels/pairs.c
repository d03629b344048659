// Products of bfloat16 weights with inputs that are rounded to bfloat16 too: two products an instruction and lane.
//
// VDPBF16PS adds the product of the upper halves, then that of the lower ones, each fused (measured on Zen 5: no
// difference to two fused multiply-adds in two million cases). Strips and rounded rows hold the even input above, so a
// sum is the chain of product_body.h, term by term; with the rounded inputs every kernel here gives the same bits.
#include "include/kernels.h"
#include "include/packed.h"
#include "include/product.h"
#include "vector.h"

#if defined(__x86_64__)
#include <immintrin.h>

static bool has_pairs = false;

__attribute__((constructor)) static void find_pairs(void) {
    __builtin_cpu_init();
    has_pairs = __builtin_cpu_supports("avx512bf16");
}

bool nl_multiplies_pairs(enum nl_isa isa) { return isa == nl_isa_avx512 && has_pairs; }

#define NL_PAIRS __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")))
#define LANES 16
// Heights of a register tile: of one strip, which passes over the weights once, and of two, which loads less.
#define TALLEST 12
#define WIDE_ROWS 6

NL_INLINE NL_PAIRS void store_row(__m512 sum, float *out, ptrdiff_t columns, int accumulate) {
    if (columns <= 0) return;
    const __mmask16 mask = columns >= LANES ? 0xffff : (__mmask16)((1u << columns) - 1);
    if (accumulate) sum = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, out), sum);
    _mm512_mask_storeu_ps(out, mask, sum);
}

// One register tile over one chain of so many pairs; a row of A takes `lda` words.
NL_INLINE NL_PAIRS void pair_tile(
    const int rows, const int strips, ptrdiff_t pairs, const uint32_t *a, ptrdiff_t lda, const uint32_t *w,
    ptrdiff_t stride, float *c, ptrdiff_t ldc, ptrdiff_t columns, int accumulate) {
    __m512 sum[TALLEST][8];
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int v = 0; v < 2 * strips; v++) sum[r][v] = _mm512_setzero_ps();
    for (ptrdiff_t p = 0; p < pairs; p++) {
        __m512bh weights[8];
#pragma clang loop unroll(full)
        for (int v = 0; v < 2 * strips; v++)
            weights[v] = (__m512bh)_mm512_loadu_si512(w + v / 2 * stride + (2 * p + v % 2) * LANES);
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++) {
            const __m512bh x = (__m512bh)_mm512_set1_epi32((int)a[r * lda + p]);
#pragma clang loop unroll(full)
            for (int v = 0; v < 2 * strips; v++) sum[r][v] = _mm512_dpbf16_ps(sum[r][v], x, weights[v]);
        }
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int v = 0; v < 2 * strips; v++)
            store_row(sum[r][v], c + r * ldc + v * LANES, columns - v * LANES, accumulate);
}

// All rows against some strips, chain by chain, so that a strip's chain stays in the cache for the next rows.
NL_INLINE NL_PAIRS void pair_strips(
    const int most_rows, const int strips, ptrdiff_t m, ptrdiff_t pairs, const uint32_t *a, const uint32_t *w,
    ptrdiff_t stride, float *c, ptrdiff_t ldc, ptrdiff_t columns, int accumulate) {
    for (ptrdiff_t p = 0; p < pairs; p += nl_longest_chain / 2) {
        const ptrdiff_t terms = pairs - p < nl_longest_chain / 2 ? pairs - p : nl_longest_chain / 2;
        ptrdiff_t first = 0;
        for (ptrdiff_t tiles = (m + most_rows - 1) / most_rows; tiles > 0; tiles--) {
            const ptrdiff_t rows = (m - first + tiles - 1) / tiles;
#define NL_ROWS(R)                                                                                              \
    if (R <= most_rows && rows == R)                                                                            \
        pair_tile(                                                                                              \
            R, strips, terms, a + first * pairs + p, pairs, w + 2 * p * LANES, stride, c + first * ldc, ldc,     \
            columns, accumulate || p > 0);
            NL_ROWS(1)
            NL_ROWS(2)
            NL_ROWS(3)
            NL_ROWS(4)
            NL_ROWS(5)
            NL_ROWS(6)
            NL_ROWS(7)
            NL_ROWS(8)
            NL_ROWS(9)
            NL_ROWS(10)
            NL_ROWS(11)
            NL_ROWS(12)
#undef NL_ROWS
            first += rows;
        }
    }
}

NL_PAIRS static void pair_product(
    ptrdiff_t m, ptrdiff_t n, ptrdiff_t pairs, const uint32_t *a, const uint32_t *w, float *c, ptrdiff_t ldc,
    int accumulate) {
    const ptrdiff_t stride = pairs * 2 * LANES;
    ptrdiff_t j = 0;
#define NL_STRIPS(ROWS, STRIPS)                                                                       \
    for (; j + 2 * LANES * (STRIPS - 1) < n; j += 2 * LANES * STRIPS)                                 \
        pair_strips(                                                                                  \
            ROWS, STRIPS, m, pairs, a, w + j / (2 * LANES) * stride, stride, c + j, ldc,              \
            n - j < 2 * LANES * STRIPS ? n - j : 2 * LANES * STRIPS, accumulate);
    if (m <= 3) {
        NL_STRIPS(3, 4)
    } else if (m > TALLEST || m <= WIDE_ROWS) {
        NL_STRIPS(WIDE_ROWS, 2)
    }
    NL_STRIPS(TALLEST, 1)
#undef NL_STRIPS
}

typedef uint32_t word __attribute__((may_alias));

NL_PAIRS static void swap_halves(ptrdiff_t count, word *words) {
    for (ptrdiff_t i = 0; i < count; i++) words[i] = words[i] << 16 | words[i] >> 16;
}
#else
bool nl_multiplies_pairs(enum nl_isa isa) {
    (void)isa;
    return false;
}
#endif

ptrdiff_t nl_rounded_bytes(enum nl_isa isa, ptrdiff_t k) {
    return nl_multiplies_pairs(isa) ? (k + 1) / 2 * (ptrdiff_t)sizeof(uint32_t) : k * (ptrdiff_t)sizeof(float);
}

void nl_round_inputs(enum nl_isa isa, ptrdiff_t m, ptrdiff_t k, const float *x, ptrdiff_t ldx, void *rounded) {
    const ptrdiff_t bytes = nl_rounded_bytes(isa, k);
    for (ptrdiff_t row = 0; row < m; row++) {
        char *out = (char *)rounded + row * bytes;
#if defined(__x86_64__)
        if (nl_multiplies_pairs(isa)) {
            uint16_t *halves = (uint16_t *)out;
            nl_to_bfloat16(isa, k, x + row * ldx, halves);
            if (k % 2 == 1) halves[k] = 0;
            swap_halves((k + 1) / 2, (word *)out);
            continue;
        }
#endif
        // Halves first, at the end of the row, where widening them from the front does not meet them too early.
        uint16_t *halves = (uint16_t *)(out + bytes) - k;
        nl_to_bfloat16(isa, k, x + row * ldx, halves);
        for (ptrdiff_t i = 0; i < k; i++) {
            const uint32_t bits = (uint32_t)halves[i] << 16;
            memcpy(out + i * sizeof bits, &bits, sizeof bits);
        }
    }
}

void nl_rounded_product(
    enum nl_isa isa, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const void *rounded, const void *strips, float *c,
    ptrdiff_t ldc, bool accumulate) {
#if defined(__x86_64__)
    if (nl_multiplies_pairs(isa)) {
        pair_product(m, n, (k + 1) / 2, rounded, strips, c, ldc, accumulate);
        return;
    }
#endif
    nl_packed_product(isa, nl_bfloat16, m, n, k, rounded, k, strips, NULL, c, ldc, accumulate);
}
