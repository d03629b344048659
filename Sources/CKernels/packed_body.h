// C ← A·Wᵀ (+ C) with packed weights W, expanded in registers. Included once per instruction set, which defines
//   ISA(name)     the name of this instance
//   LANES         floats of a register
//   MOST_ROWS, TILE_STRIPS   height of a register tile, and its width in strips
//   FEW_ROWS, FEW_STRIPS, ONE_STRIPS   the same for products of few rows and of one, which are bound by reading W
//
// A strip holds 2 · LANES outputs as words of 32 bits, for each two inputs 2 · LANES (bfloat16) or LANES (int8):
//   bfloat16   word j: output j, the even input above, the odd one below, which is the order that the products of pairs
//              (pairs.c) sum in
//   int8       word j, from below: outputs j and LANES + j of the even input, then of the odd one
// so that a shift and a mask make two vectors of a word vector, without moving anything across lanes.
//
// Every number of C is summed as in product_body.h: chains of multiply-adds in the order of the inputs.

typedef float ISA(vector) __attribute__((vector_size(4 * LANES)));
typedef float ISA(vector_u) __attribute__((vector_size(4 * LANES), aligned(4)));
typedef uint32_t ISA(words) __attribute__((vector_size(4 * LANES)));
typedef uint32_t ISA(words_u) __attribute__((vector_size(4 * LANES), aligned(4)));
typedef int32_t ISA(integers) __attribute__((vector_size(4 * LANES)));

#define V ISA(vector)
#define WORDS ISA(words)
// A whole number from the topmost byte of each lane, times 2^24: the factor goes into the scale.
#define TOP_BYTES(x) __builtin_convertvector((ISA(integers))((x) & 0xff000000u), V)

NL_INLINE void ISA(store)(V result, float *out, ptrdiff_t columns, int accumulate) {
    if (columns >= LANES) {
        *(ISA(vector_u) *)out = accumulate ? *(const ISA(vector_u) *)out + result : result;
    } else if (columns > 0) {
        V kept = {0};
        if (accumulate) {
            memcpy(&kept, out, columns * sizeof(float));
            result = kept + result;
        }
        memcpy(out, &result, columns * sizeof(float));
    }
}

// One register tile over one chain of k inputs; the strips' weights are read at w + strip · stride.
NL_INLINE void ISA(packed_tile)(
    const int is_int8, const int is_expanded, const int rows, const int strips, ptrdiff_t k, const float *a,
    ptrdiff_t lda, const uint32_t *w, ptrdiff_t stride, const float *scales, float *c, ptrdiff_t ldc, ptrdiff_t columns,
    int accumulate) {
#pragma clang fp contract(fast)
    V sum[MOST_ROWS][2 * ONE_STRIPS];
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int v = 0; v < 2 * strips; v++) sum[r][v] = (V){0};
    if (is_expanded) {
        for (ptrdiff_t p = 0; p < k; p++) {
            V low = *(const V *)(w + 2 * p * LANES), high = *(const V *)(w + (2 * p + 1) * LANES);
#pragma clang loop unroll(full)
            for (int r = 0; r < rows; r++) {
                V x = a[r * lda + p] - (V){0};
                sum[r][0] += x * low;
                sum[r][1] += x * high;
            }
        }
    } else if (!is_int8) {
        for (ptrdiff_t p = 0; p + 1 < k; p += 2)
#pragma clang loop unroll(full)
            for (int s = 0; s < strips; s++) {
                const WORDS low = *(const ISA(words_u) *)(w + s * stride + p * LANES);
                const WORDS high = *(const ISA(words_u) *)(w + s * stride + (p + 1) * LANES);
                V left = (V)(low & 0xffff0000u), right = (V)(high & 0xffff0000u);
#pragma clang loop unroll(full)
                for (int r = 0; r < rows; r++) {
                    V x = a[r * lda + p] - (V){0};
                    sum[r][2 * s] += x * left;
                    sum[r][2 * s + 1] += x * right;
                }
                left = (V)(low << 16), right = (V)(high << 16);
#pragma clang loop unroll(full)
                for (int r = 0; r < rows; r++) {
                    V x = a[r * lda + p + 1] - (V){0};
                    sum[r][2 * s] += x * left;
                    sum[r][2 * s + 1] += x * right;
                }
            }
        if (k % 2 == 1)
#pragma clang loop unroll(full)
            for (int v = 0; v < 2 * strips; v++) {
                V even = (V)(*(const ISA(words_u) *)(w + v / 2 * stride + (k - 1 + v % 2) * LANES) & 0xffff0000u);
#pragma clang loop unroll(full)
                for (int r = 0; r < rows; r++) sum[r][v] += (a[r * lda + k - 1] - (V){0}) * even;
            }
    } else {
        for (ptrdiff_t p = 0; p + 1 < k; p += 2)
#pragma clang loop unroll(full)
            for (int s = 0; s < strips; s++) {
                WORDS raw = *(const ISA(words_u) *)(w + s * stride + p / 2 * LANES);
                V low = TOP_BYTES(raw << 24), high = TOP_BYTES(raw << 16);
#pragma clang loop unroll(full)
                for (int r = 0; r < rows; r++) {
                    V x = a[r * lda + p] - (V){0};
                    sum[r][2 * s] += x * low;
                    sum[r][2 * s + 1] += x * high;
                }
                low = TOP_BYTES(raw << 8), high = TOP_BYTES(raw);
#pragma clang loop unroll(full)
                for (int r = 0; r < rows; r++) {
                    V x = a[r * lda + p + 1] - (V){0};
                    sum[r][2 * s] += x * low;
                    sum[r][2 * s + 1] += x * high;
                }
            }
        if (k % 2 == 1)
#pragma clang loop unroll(full)
            for (int s = 0; s < strips; s++) {
                WORDS raw = *(const ISA(words_u) *)(w + s * stride + k / 2 * LANES);
                V low = TOP_BYTES(raw << 24), high = TOP_BYTES(raw << 16);
#pragma clang loop unroll(full)
                for (int r = 0; r < rows; r++) {
                    V x = a[r * lda + k - 1] - (V){0};
                    sum[r][2 * s] += x * low;
                    sum[r][2 * s + 1] += x * high;
                }
            }
    }
#pragma clang loop unroll(full)
    for (int v = 0; v < 2 * strips; v++) {
        V scale = {0};
        if (is_int8) {
            ptrdiff_t left = columns - v * LANES;
            if (left > 0) memcpy(&scale, scales + v * LANES, (left < LANES ? left : LANES) * sizeof(float));
            scale *= 0x1p-24f;
        }
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++)
            ISA(store)(
                is_int8 ? sum[r][v] * scale : sum[r][v], c + r * ldc + v * LANES, columns - v * LANES, accumulate);
    }
}

// One chain of a strip as floats: two vectors an input, int8 without its scale.
NL_INLINE void ISA(expand)(const int is_int8, ptrdiff_t k, const uint32_t *w, V *out) {
    for (ptrdiff_t p = 0; p < k; p++) {
        if (is_int8) {
            WORDS raw = *(const ISA(words_u) *)(w + p / 2 * LANES);
            if (p % 2 == 0) raw <<= 16;
            out[2 * p] = TOP_BYTES(raw << 8);
            out[2 * p + 1] = TOP_BYTES(raw);
        } else {
            const uint32_t *pair = w + (p - p % 2) * LANES;
            WORDS low = *(const ISA(words_u) *)pair, high = *(const ISA(words_u) *)(pair + LANES);
            out[2 * p] = (V)(p % 2 ? low << 16 : low & 0xffff0000u);
            out[2 * p + 1] = (V)(p % 2 ? high << 16 : high & 0xffff0000u);
        }
    }
}

// All rows against some strips, chain by chain, so that a strip's chain stays in the cache for the next rows.
NL_INLINE void ISA(packed_strips)(
    const int is_int8, const int is_expanded, const int most_rows, const int strips, ptrdiff_t m, ptrdiff_t k,
    const float *a, ptrdiff_t lda, const uint32_t *w, ptrdiff_t stride, const float *scales, float *c, ptrdiff_t ldc,
    ptrdiff_t columns, int accumulate) {
    for (ptrdiff_t p = 0; p < k; p += nl_longest_chain) {
        const ptrdiff_t terms = k - p < nl_longest_chain ? k - p : nl_longest_chain;
        const uint32_t *chain = w + (is_int8 ? p / 2 : p) * LANES;
        V expanded[is_expanded ? 2 * nl_longest_chain : 1];
        if (is_expanded) {
            ISA(expand)(is_int8, terms, chain, expanded);
            chain = (const uint32_t *)expanded;
        }
        ptrdiff_t first = 0;
        for (ptrdiff_t tiles = (m + most_rows - 1) / most_rows; tiles > 0; tiles--) {
            ptrdiff_t rows = (m - first + tiles - 1) / tiles;
#define NL_ROWS(R)                                                                                        \
    if (R <= most_rows && rows == R)                                                                      \
        ISA(packed_tile)(                                                                                 \
            is_int8, is_expanded, R, strips, terms, a + first * lda + p, lda, chain, stride, scales, c + first * ldc, ldc, \
            columns, accumulate || p > 0);
            NL_ROWS(1)
            NL_ROWS(2)
            NL_ROWS(3)
            NL_ROWS(4)
            NL_ROWS(5)
            NL_ROWS(6)
#undef NL_ROWS
            first += rows;
        }
    }
}

NL_INLINE void ISA(packed_product)(
    const int is_int8, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const float *a, ptrdiff_t lda, const uint32_t *w,
    const float *scales, float *c, ptrdiff_t ldc, int accumulate) {
    const ptrdiff_t stride = (k + 1) / 2 * (is_int8 ? LANES : 2 * LANES);
    ptrdiff_t j = 0;
#define NL_STRIPS(ROWS, STRIPS, EXPANDED)                                                                            \
    for (; j + 2 * LANES * (STRIPS - 1) < n; j += 2 * LANES * STRIPS)                                       \
        ISA(packed_strips)(                                                                                 \
            is_int8, EXPANDED, ROWS, STRIPS, m, k, a, lda, w + j / (2 * LANES) * stride, stride,            \
            is_int8 ? scales + j : scales, c + j, ldc,                                                      \
            n - j < 2 * LANES * STRIPS ? n - j : 2 * LANES * STRIPS, accumulate);
    if (m == 1) {
        NL_STRIPS(1, ONE_STRIPS, 0)
    } else if (m <= FEW_ROWS) {
        NL_STRIPS(FEW_ROWS, FEW_STRIPS, 0)
    } else if (m >= NL_EXPANDING_ROWS) {
        NL_STRIPS(MOST_ROWS, 1, 1)
    }
    NL_STRIPS(MOST_ROWS, TILE_STRIPS, 0)
    NL_STRIPS(MOST_ROWS, 1, 0)
#undef NL_STRIPS
}

static void ISA(product_bfloat16)(
    ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const float *a, ptrdiff_t lda, const void *w, const float *scales, float *c,
    ptrdiff_t ldc, int accumulate) {
    ISA(packed_product)(0, m, n, k, a, lda, w, scales, c, ldc, accumulate);
}

static void ISA(product_int8)(
    ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const float *a, ptrdiff_t lda, const void *w, const float *scales, float *c,
    ptrdiff_t ldc, int accumulate) {
    ISA(packed_product)(1, m, n, k, a, lda, w, scales, c, ldc, accumulate);
}

// MARK: Laying out

// Pairs of inputs that are laid out together: a cache line of a row.
#define NL_BLOCK 16

static void ISA(pack_bfloat16)(ptrdiff_t k, const void *const *rows, void *strip) {
    uint32_t *out = strip;
    for (ptrdiff_t first = 0; first < k; first += 2 * NL_BLOCK) {
        const ptrdiff_t inputs = k - first < 2 * NL_BLOCK ? k - first : 2 * NL_BLOCK;
        uint32_t block[2 * LANES][NL_BLOCK] = {{0}};
        for (ptrdiff_t j = 0; j < 2 * LANES; j++) {
            if (!rows[j]) continue;
            if (inputs == 2 * NL_BLOCK)
                memcpy(block[j], (const half_word *)rows[j] + first, sizeof block[j]);
            else
                memcpy(block[j], (const half_word *)rows[j] + first, inputs * sizeof(uint16_t));
        }
        // A pair as it lies in a row has the even input below.
        uint32_t *to = out + first * LANES;
        const ptrdiff_t pairs = (inputs + 1) / 2;
        if (pairs == NL_BLOCK) {
            for (int i = 0; i < NL_BLOCK; i++)
                for (int j = 0; j < 2 * LANES; j++) to[i * 2 * LANES + j] = block[j][i] << 16 | block[j][i] >> 16;
        } else {
            for (ptrdiff_t i = 0; i < pairs; i++)
                for (int j = 0; j < 2 * LANES; j++) to[i * 2 * LANES + j] = block[j][i] << 16 | block[j][i] >> 16;
        }
    }
}

// The rounded sum of up to a vector's width of two rows, in the upper halves; zeros where there are no columns.
NL_INLINE WORDS ISA(rounded_sum)(const float *a, const float *b, ptrdiff_t columns) {
    V left = {0}, right = {0};
    if (columns >= LANES) {
        left = *(const ISA(vector_u) *)a;
        right = *(const ISA(vector_u) *)b;
    } else if (columns > 0) {
        memcpy(&left, a, columns * sizeof(float));
        memcpy(&right, b, columns * sizeof(float));
    }
    const WORDS bits = (WORDS)(left + right);
    return NL_BFLOAT16(bits) & 0xffff0000u;
}

static void ISA(pack_sum)(ptrdiff_t k, ptrdiff_t n, const float *a, const float *b, void *strips) {
    uint32_t *out = strips;
    for (ptrdiff_t left = 0; left < n; left += 2 * LANES)
        for (ptrdiff_t p = 0; p < k; p += 2)
            for (ptrdiff_t j = left; j < left + 2 * LANES; j += LANES, out += LANES) {
                const ptrdiff_t at = p * n + j;
                WORDS words = ISA(rounded_sum)(a + at, b + at, n - j);
                if (p + 1 < k) words |= ISA(rounded_sum)(a + at + n, b + at + n, n - j) >> 16;
                *(ISA(words_u) *)out = words;
            }
}

static void ISA(pack_int8)(ptrdiff_t k, const void *const *rows, void *strip) {
    uint32_t *out = strip;
    for (ptrdiff_t j = 0; j < LANES; j++) {
        const uint8_t *low = rows[j], *high = rows[LANES + j];
        for (ptrdiff_t p = 0; p < k; p += 2) {
            uint32_t word = (low ? low[p] : 0) | (uint32_t)(high ? high[p] : 0) << 8;
            if (p + 1 < k) word |= (uint32_t)(low ? low[p + 1] : 0) << 16 | (uint32_t)(high ? high[p + 1] : 0) << 24;
            out[p / 2 * LANES + j] = word;
        }
    }
}

static float ISA(quantize)(ptrdiff_t k, const float *x, int8_t *q) {
    float largest = 0;
    for (ptrdiff_t i = 0; i < k; i++) {
        float size = __builtin_fabsf(x[i]);
        largest = size > largest ? size : largest;
    }
    // What is so small that its scale has no inverse is nothing beside any input.
    if (!(largest > 0x1p-100f)) {
        memset(q, 0, k);
        return 0;
    }
    const float scale = largest / 127, inverse = 127 / largest;
    // Added to and taken from a number below 2^22, this leaves the nearest whole one.
    const float shifter = 0x1.8p23f;
    for (ptrdiff_t i = 0; i < k; i++) {
        float nearest = (x[i] * inverse + shifter) - shifter;
        q[i] = (int8_t)(nearest > 127 ? 127 : nearest < -127 ? -127 : nearest);
    }
    return scale;
}

static bool ISA(is_bfloat16)(size_t count, const float *x) {
    for (size_t first = 0; first < count; first += 4096) {
        const size_t last = count - first < 4096 ? count : first + 4096;
        uint32_t lost = 0;
        for (size_t i = first; i < last; i++) {
            uint32_t bits;
            memcpy(&bits, x + i, sizeof bits);
            lost |= bits & 0xffffu;
        }
        if (lost) return false;
    }
    return true;
}

// A NaN or an infinity is a number whose exponent is all ones.
static bool ISA(is_finite)(size_t count, const void *x) {
    uint32_t found = 0;
    for (size_t i = 0; i < count; i++) found |= (((const whole_word *)x)[i] & 0x7f800000u) == 0x7f800000u;
    return !found;
}

static bool ISA(is_finite_bfloat16)(size_t count, const void *x) {
    uint16_t found = 0;
    for (size_t i = 0; i < count; i++) found |= (((const half_word *)x)[i] & 0x7f80u) == 0x7f80u;
    return !found;
}

#undef V
#undef WORDS
#undef TOP_BYTES
#undef NL_BLOCK
