// C ← op(A)·op(B) (+ C). Operands are read where they are, as long as that is cheaper than laying them out anew:
// small and narrow products are then all arithmetic. Included once per instruction set, which defines
//   ISA(name)     the name of this instance
//   MOST_ROWS, TILE_VECTORS   height of a register tile, and its width in groups of 16 columns
//   FEW_ROWS, WIDE_VECTORS    the same for products of few rows, which have registers to spare for more columns,
//                             and need their independent sums to keep the multipliers busy
//   TURNED_ROWS, TURNED_GROUPS   the same where a transposed B is turned on the way
//
// Every number of C is one chain of multiply-adds over p = 0, 1, … k − 1 (fused where the processor can), begun at
// zero; C is added at the end. With FMA these are the bits that oneDNN's products of dense matrices have, so the two
// may be mixed freely, and a row's bits do not depend on the rows beside it.

// One register tile: `rows` rows by `vectors` groups of 16 columns, of which the last holds `last` columns.
// B is read at b + p·ldb.
NL_INLINE void ISA(tile)(
    const int rows, const int vectors, ptrdiff_t k, const float *a, ptrdiff_t a_row, ptrdiff_t a_term, const float *b,
    ptrdiff_t ldb, float *c, ptrdiff_t ldc, size_t last, int accumulate) {
#pragma clang fp contract(fast)
    v16 sum[MOST_ROWS][WIDE_VECTORS];
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) sum[r][v] = (v16){0};
    for (ptrdiff_t p = 0; p < k; p++) {
        v16 column[WIDE_VECTORS];
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) column[v] = *(const v16u *)(b + p * ldb + 16 * v);
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++) {
            v16 broadcast = NL_BROADCAST(a[r * a_row + p * a_term]);
#pragma clang loop unroll(full)
            for (int v = 0; v < vectors; v++) sum[r][v] += broadcast * column[v];
        }
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) {
            float *out = c + r * ldc + 16 * v;
            if (v == vectors - 1 && last < 16) {
                v16 kept = {0}, result = sum[r][v];
                if (accumulate) {
                    memcpy(&kept, out, last * sizeof(float));
                    result = kept + result;
                }
                memcpy(out, &result, last * sizeof(float));
            } else {
                *(v16u *)out = accumulate ? *(const v16u *)out + sum[r][v] : sum[r][v];
            }
        }
}

// Rows of op(A) against one panel of B, in register tiles of nearly equal height.
NL_INLINE void ISA(panel)(
    const int vectors, ptrdiff_t m, ptrdiff_t k, const float *a, ptrdiff_t a_row, ptrdiff_t a_term, const float *b,
    ptrdiff_t ldb, float *c, ptrdiff_t ldc, size_t last, int accumulate) {
    const int most_rows = vectors <= TILE_VECTORS ? MOST_ROWS : FEW_ROWS;
    for (ptrdiff_t tiles = (m + most_rows - 1) / most_rows; tiles > 0; tiles--) {
        ptrdiff_t rows = (m + tiles - 1) / tiles;
#define NL_ROWS(R)                                                                           \
    if (R <= most_rows && rows == R)                                                         \
        ISA(tile)(R, vectors, k, a, a_row, a_term, b, ldb, c, ldc, last, accumulate);
        NL_ROWS(1)
        NL_ROWS(2)
        NL_ROWS(3)
        NL_ROWS(4)
        NL_ROWS(5)
        NL_ROWS(6)
#undef NL_ROWS
        a += rows * a_row;
        c += rows * ldc;
        m -= rows;
    }
}

// Sixteen rows of 16 floats, turned: 4 x 4 blocks inside the 128-bit lanes first, then the lanes. Few values are
// alive at a time, so nothing is spilled.
#define NL_LOW_SINGLES(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define NL_HIGH_SINGLES(a, b) __builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
#define NL_LOW_PAIRS(a, b) __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
#define NL_HIGH_PAIRS(a, b) __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)
#define NL_EVEN_LANES(a, b) __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27)
#define NL_ODD_LANES(a, b) __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31)
NL_INLINE void ISA(transpose)(const float *from, ptrdiff_t stride, v16 *to) {
    v16 x[16];
#pragma clang loop unroll(full)
    for (int i = 0; i < 16; i += 4) {
        v16 a = *(const v16u *)(from + i * stride), b = *(const v16u *)(from + (i + 1) * stride);
        v16 c = *(const v16u *)(from + (i + 2) * stride), d = *(const v16u *)(from + (i + 3) * stride);
        v16 ab = NL_LOW_SINGLES(a, b), cd = NL_LOW_SINGLES(c, d);
        x[i] = NL_LOW_PAIRS(ab, cd);
        x[i + 1] = NL_HIGH_PAIRS(ab, cd);
        ab = NL_HIGH_SINGLES(a, b), cd = NL_HIGH_SINGLES(c, d);
        x[i + 2] = NL_LOW_PAIRS(ab, cd);
        x[i + 3] = NL_HIGH_PAIRS(ab, cd);
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++) {
        v16 even_low = NL_EVEN_LANES(x[i], x[i + 4]), even_high = NL_EVEN_LANES(x[i + 8], x[i + 12]);
        v16 odd_low = NL_ODD_LANES(x[i], x[i + 4]), odd_high = NL_ODD_LANES(x[i + 8], x[i + 12]);
        to[i] = NL_EVEN_LANES(even_low, even_high);
        to[i + 4] = NL_EVEN_LANES(odd_low, odd_high);
        to[i + 8] = NL_ODD_LANES(even_low, even_high);
        to[i + 12] = NL_ODD_LANES(odd_low, odd_high);
    }
}

// Copies `columns` columns of op(B) into panel[k][width], zeros after them.
NL_INLINE void ISA(pack)(
    ptrdiff_t k, ptrdiff_t columns, const float *b, ptrdiff_t ldb, int is_transposed, float *panel, ptrdiff_t width) {
    if (!is_transposed) {
        for (ptrdiff_t p = 0; p < k; p++) {
            memcpy(panel + p * width, b + p * ldb, columns * sizeof(float));
            for (ptrdiff_t j = columns; j < width; j++) panel[p * width + j] = 0;
        }
        return;
    }
    for (ptrdiff_t j = 0; j < width; j += 16) {
        ptrdiff_t rows = columns - j < 16 ? columns - j : 16;
        ptrdiff_t p = 0;
        if (rows == 16)
            for (; p + 16 <= k; p += 16) {
                v16 turned[16];
                ISA(transpose)(b + j * ldb + p, ldb, turned);
#pragma clang loop unroll(full)
                for (int i = 0; i < 16; i++) *(v16u *)(panel + (p + i) * width + j) = turned[i];
            }
        for (; p < k; p++)
            for (ptrdiff_t i = 0; i < 16; i++) panel[p * width + j + i] = i < rows ? b[(j + i) * ldb + p] : 0;
    }
}

// A few rows of op(A) against 16 · groups rows of a transposed B, turned in registers on the way: for one row,
// laying B out first would cost more than the arithmetic.
NL_INLINE void ISA(turned_tile)(
    const int rows, const int groups, ptrdiff_t k, const float *a, ptrdiff_t a_row, ptrdiff_t a_term, const float *b,
    ptrdiff_t ldb, float *c, ptrdiff_t ldc, int accumulate) {
#pragma clang fp contract(fast)
    v16 sum[TURNED_ROWS][TURNED_GROUPS];
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int g = 0; g < groups; g++) sum[r][g] = (v16){0};
    ptrdiff_t p = 0;
    for (; p + 16 <= k; p += 16) {
#pragma clang loop unroll(full)
        for (int g = 0; g < groups; g++) {
            v16 turned[16];
            ISA(transpose)(b + 16 * g * ldb + p, ldb, turned);
#pragma clang loop unroll(full)
            for (int i = 0; i < 16; i++)
#pragma clang loop unroll(full)
                for (int r = 0; r < rows; r++) sum[r][g] += NL_BROADCAST(a[r * a_row + (p + i) * a_term]) * turned[i];
        }
    }
    for (; p < k; p++)
#pragma clang loop unroll(full)
        for (int g = 0; g < groups; g++) {
            float column[16];
            for (int i = 0; i < 16; i++) column[i] = b[(16 * g + i) * ldb + p];
#pragma clang loop unroll(full)
            for (int r = 0; r < rows; r++)
                sum[r][g] += NL_BROADCAST(a[r * a_row + p * a_term]) * *(const v16u *)column;
        }
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int g = 0; g < groups; g++) {
            v16u *out = (v16u *)(c + r * ldc + 16 * g);
            *out = accumulate ? *out + sum[r][g] : sum[r][g];
        }
}

// The columns of C that turned tiles cover; returns how many.
NL_INLINE ptrdiff_t ISA(turned)(
    ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const float *a, ptrdiff_t a_row, ptrdiff_t a_term, const float *b,
    ptrdiff_t ldb, float *c, ptrdiff_t ldc, int accumulate) {
    ptrdiff_t j = 0;
    for (int groups = TURNED_GROUPS; groups > 0; groups /= 2)
        for (; j + 16 * groups <= n; j += 16 * groups)
            for (ptrdiff_t r = 0; r < m; r += TURNED_ROWS) {
                ptrdiff_t rows = m - r < TURNED_ROWS ? m - r : TURNED_ROWS;
#define NL_TILE(R, G)                     \
    if (R <= TURNED_ROWS && G <= TURNED_GROUPS && rows == R && groups == G) \
        ISA(turned_tile)(                 \
            R, G, k, a + r * a_row, a_row, a_term, b + j * ldb, ldb, c + r * ldc + j, ldc, accumulate);
                NL_TILE(1, 1)
                NL_TILE(2, 1)
                NL_TILE(3, 1)
                NL_TILE(4, 1)
                NL_TILE(1, 2)
                NL_TILE(2, 2)
                NL_TILE(3, 2)
                NL_TILE(4, 2)
#undef NL_TILE
            }
    return j;
}

static void ISA(product)(
    ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const float *a, ptrdiff_t a_row, ptrdiff_t a_term, const float *b,
    ptrdiff_t ldb, int b_is_transposed, float *c, ptrdiff_t ldc, int accumulate) {
    const ptrdiff_t widest = 16 * (m <= FEW_ROWS ? WIDE_VECTORS : TILE_VECTORS);
    ptrdiff_t j = 0;
    if (b_is_transposed && m <= NL_TURNED_ROWS) j = ISA(turned)(m, n, k, a, a_row, a_term, b, ldb, c, ldc, accumulate);
    for (; j < n; j += widest) {
        ptrdiff_t columns = n - j < widest ? n - j : widest;
        int vectors = (int)((columns + 15) / 16);
        size_t last = columns - 16 * (vectors - 1);
        const float *panel = b + (b_is_transposed ? j * ldb : j);
        ptrdiff_t stride = ldb;
        if (b_is_transposed || last < 16 || m >= NL_PACKING_ROWS) {
            float *scratch = nl_thread_scratch();
            ISA(pack)(k, columns, panel, ldb, b_is_transposed, scratch, 16 * vectors);
            panel = scratch;
            stride = 16 * vectors;
        }
#define NL_VECTORS(V)                                 \
    if (V <= WIDE_VECTORS && vectors == V)            \
        ISA(panel)(V, m, k, a, a_row, a_term, panel, stride, c + j, ldc, last, accumulate);
        NL_VECTORS(1)
        NL_VECTORS(2)
        NL_VECTORS(3)
        NL_VECTORS(4)
        NL_VECTORS(5)
        NL_VECTORS(6)
        NL_VECTORS(7)
        NL_VECTORS(8)
#undef NL_VECTORS
    }
}
