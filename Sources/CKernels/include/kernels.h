// Vectorised kernels for rows of single-precision numbers. `TensorScalar` states what each one computes; results
// differ from its naive forms by rounding only. The instruction set must be one that the processor has.
#ifndef NL_KERNELS_H
#define NL_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "isa.h"

#pragma clang assume_nonnull begin

/// The scalars of one AdamW step.
struct nl_adamw {
    float learning_rate, beta1, beta2, epsilon, weight_decay, correction1, correction2, gradient_scale;
};

/// y = e^x.
void nl_exponentials(enum nl_isa isa, size_t count, const float *x, float *y);
/// The largest of at least one number.
float nl_maximum(enum nl_isa isa, size_t count, const float *x);
/// y = e^(x - shift); returns the sum of y, added in an order that depends on count alone. x and y may be the same.
float nl_shifted_exponentials(enum nl_isa isa, size_t count, const float *x, float shift, float *y);
/// y = 1 / (1 + e^-x).
void nl_sigmoids(enum nl_isa isa, size_t count, const float *x, float *y);
/// y = silu(x).
void nl_silu(enum nl_isa isa, size_t count, const float *x, float *y);
/// dx += dy silu'(x).
void nl_silu_backward(enum nl_isa isa, size_t count, const float *x, const float *dy, float *dx);
/// y = silu'(x).
void nl_silu_slope(enum nl_isa isa, size_t count, const float *x, float *y);
/// dx += dy silu''(x).
void nl_silu_slope_backward(enum nl_isa isa, size_t count, const float *x, const float *dy, float *dx);
/// y = a + b.
void nl_add(enum nl_isa isa, size_t count, const float *a, const float *b, float *y);
/// y = a b.
void nl_multiply(enum nl_isa isa, size_t count, const float *a, const float *b, float *y);
/// y += a b.
void nl_multiply_accumulate(enum nl_isa isa, size_t count, const float *a, const float *b, float *y);
/// y += scale x.
void nl_axpy(enum nl_isa isa, size_t count, float scale, const float *x, float *y);
/// y += value where a bit is 0, y -= value where it is 1; bits are taken from the lowest of the first word on.
void nl_add_signed(enum nl_isa isa, size_t count, float value, const uint64_t *bits, float *y);
/// One AdamW step.
void nl_adamw_step(
    enum nl_isa isa, size_t count, struct nl_adamw step, const float *gradient, float *parameter, float *first,
    float *second);
/// y = x / sqrt(sum x^2 + epsilon) by row; the factor goes to scales.
void nl_unit_rows(enum nl_isa isa, size_t rows, size_t width, float epsilon, const float *x, float *y, float *scales);
/// dx += scale (dy - y <dy, y>) by row.
void nl_unit_rows_backward(
    enum nl_isa isa, size_t rows, size_t width, const float *y, const float *scales, const float *dy, float *dx);
/// y = gain x / sqrt(mean x^2 + epsilon) by row; 1/sqrt(...) goes to scales.
void nl_rms_rows(
    enum nl_isa isa, size_t rows, size_t width, float epsilon, const float *x, const float *gain, float *y, float
    *scales);
/// dx += ..., dgain += sum over rows of dy x scale.
void nl_rms_rows_backward(
    enum nl_isa isa, size_t rows, size_t width, const float *x, const float *gain, const float *scales, const
    float *dy, float *dx, float *dgain);
/// losses = -log softmax(x)[target] by row; x becomes (softmax(x) - onehot(target)) weight.
void nl_cross_entropy_rows(
    enum nl_isa isa, size_t rows, size_t width, float *x, const int32_t *targets, const float *weights, float
    *losses);
/// y = x rounded to bfloat16: to nearest, ties to even.
void nl_to_bfloat16(enum nl_isa isa, size_t count, const float *x, uint16_t *y);
/// y = x.
void nl_from_bfloat16(enum nl_isa isa, size_t count, const uint16_t *x, float *y);
/// The sum of a b. The order of the additions depends on count alone.
float nl_dot(enum nl_isa isa, size_t count, const float *a, const float *b);

#pragma clang assume_nonnull end

#endif
