// Products with weights that are held in fewer bits than they are multiplied in.
#ifndef NL_PACKED_H
#define NL_PACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "isa.h"

#pragma clang assume_nonnull begin

/// How weights are held.
enum nl_weights {
    /// The upper 16 bits of each.
    nl_bfloat16 = 0,
    /// Whole numbers from -127 to 127, times a scale for each output.
    nl_int8 = 1,
} __attribute__((enum_extensibility(closed)));

/// Outputs of a strip: the weights of so many lie together, input after input. A matrix is its strips one after
/// another, the last filled up with zeros.
ptrdiff_t nl_strip_outputs(enum nl_isa isa);

/// Bytes of a strip of k inputs.
ptrdiff_t nl_strip_bytes(enum nl_isa isa, enum nl_weights held, ptrdiff_t k);

/// Lays out one strip from the rows of its outputs, k weights each: uint16_t or int8_t at any address, null for zeros.
void nl_pack_strip(
    enum nl_isa isa, enum nl_weights held, ptrdiff_t k, const void *_Nullable const *_Nonnull rows, void *strip);

/// Lays out all strips of W in bfloat16, where W' = a + b rounded to nearest, ties to even: both k x n, row-major.
void nl_pack_sum(enum nl_isa isa, ptrdiff_t k, ptrdiff_t n, const float *a, const float *b, void *strips);

/// y = the k weights of one output, exactly as the product takes them; scale is ignored for bfloat16.
void nl_unpack_output(
    enum nl_isa isa, enum nl_weights held, ptrdiff_t k, const void *strip, ptrdiff_t output, float scale, float *y);

/// C <- A W' (+ C), row-major; A is m x k, W is n x k in strips from the first on, scales are one for each output.
///
/// With bfloat16, C has the bits that `nl_product` has with the same weights as single precision. With int8 a chain's
/// sum is that of the whole numbers, multiplied by the scale when it is complete.
void nl_packed_product(
    enum nl_isa isa, enum nl_weights held, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const float *a, ptrdiff_t lda, const
    void *strips, const float *_Nullable scales, float *c, ptrdiff_t ldc, bool accumulate);

/// Whether the processor multiplies pairs of bfloat16s (AVX512_BF16), at twice the speed of floats.
bool nl_multiplies_pairs(enum nl_isa isa);

/// Bytes of a row of k inputs as `nl_round_inputs` leaves it.
ptrdiff_t nl_rounded_bytes(enum nl_isa isa, ptrdiff_t k);

/// Rounds m rows of inputs to bfloat16, to nearest, ties to even, and lays them out for `nl_rounded_product`.
void nl_round_inputs(enum nl_isa isa, ptrdiff_t m, ptrdiff_t k, const float *x, ptrdiff_t ldx, void *rounded);

/// C <- A W' (+ C) as `nl_packed_product` with bfloat16 weights, of inputs that were rounded.
///
/// The bits are those that `nl_packed_product` has with the rounded inputs, but that pairs count numbers of the smallest
/// exponent (below 2^-126) as zero.
void nl_rounded_product(
    enum nl_isa isa, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const void *rounded, const void *strips, float *c,
    ptrdiff_t ldc, bool accumulate);

/// q = x / scale rounded to the nearest whole number, ties to even; returns scale, the largest |x| over 127.
float nl_quantize(enum nl_isa isa, ptrdiff_t k, const float *x, int8_t *q);

/// Whether x is a whole number of bfloat16s: nothing is lost by holding the upper halves.
bool nl_is_bfloat16(enum nl_isa isa, size_t count, const float *x);

/// Whether no number is NaN or infinite, from their bits at any address.
bool nl_is_finite(enum nl_isa isa, size_t count, const void *x);
bool nl_is_finite_bfloat16(enum nl_isa isa, size_t count, const void *x);

#pragma clang assume_nonnull end

#endif
