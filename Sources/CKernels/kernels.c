#include "include/kernels.h"

#include <math.h>

#include "vector.h"

// One instance of every kernel.
struct kernels {
    void (*exponentials)(size_t count, const float *x, float *y);
    float (*maximum)(size_t count, const float *x);
    float (*shifted_exponentials)(size_t count, const float *x, float shift, float *y);
    void (*sigmoids)(size_t count, const float *x, float *y);
    void (*silu)(size_t count, const float *x, float *y);
    void (*silu_backward)(size_t count, const float *x, const float *dy, float *dx);
    void (*silu_slope)(size_t count, const float *x, float *y);
    void (*silu_slope_backward)(size_t count, const float *x, const float *dy, float *dx);
    void (*add)(size_t count, const float *a, const float *b, float *y);
    void (*multiply)(size_t count, const float *a, const float *b, float *y);
    void (*multiply_accumulate)(size_t count, const float *a, const float *b, float *y);
    void (*axpy)(size_t count, float scale, const float *x, float *y);
    void (*add_signed)(size_t count, float value, const uint64_t *bits, float *y);
    void (*adamw)(
        size_t count, struct nl_adamw step, const float *gradient, float *parameter, float *first, float
        *second);
    void (*unit_rows)(size_t rows, size_t width, float epsilon, const float *x, float *y, float *scales);
    void (*unit_rows_backward)(
        size_t rows, size_t width, const float *y, const float *scales, const float *dy, float *dx);
    void (*rms_rows)(
        size_t rows, size_t width, float epsilon, const float *x, const float *gain, float *y, float *scales);
    void (*rms_rows_backward)(
        size_t rows, size_t width, const float *x, const float *gain, const float *scales, const float *dy,
        float *dx, float *dgain);
    void (*cross_entropy_rows)(
        size_t rows, size_t width, float *x, const int32_t *targets, const float *weights, float *losses);
    void (*to_bfloat16)(size_t count, const float *x, uint16_t *y);
    void (*from_bfloat16)(size_t count, const uint16_t *x, float *y);
    float (*dot)(size_t count, const float *a, const float *b);
};

#define ISA(name) name##_portable
#include "kernels_body.h"
#undef ISA

#if defined(__x86_64__)
#pragma clang attribute push(NL_AVX2, apply_to = function)
#define ISA(name) name##_avx2
#include "kernels_body.h"
#undef ISA
#pragma clang attribute pop

#pragma clang attribute push(NL_AVX512, apply_to = function)
#define ISA(name) name##_avx512
#include "kernels_body.h"
#undef ISA
#pragma clang attribute pop
#endif

static const struct kernels *const instances[] = {
    &kernels_portable,
#if defined(__x86_64__)
    &kernels_avx2, &kernels_avx512,
#endif
};

void nl_exponentials(enum nl_isa isa, size_t count, const float *x, float *y) {
    instances[isa]->exponentials(count, x, y);
}

float nl_maximum(enum nl_isa isa, size_t count, const float *x) { return instances[isa]->maximum(count, x); }

float nl_shifted_exponentials(enum nl_isa isa, size_t count, const float *x, float shift, float *y) {
    return instances[isa]->shifted_exponentials(count, x, shift, y);
}

void nl_sigmoids(enum nl_isa isa, size_t count, const float *x, float *y) {
    instances[isa]->sigmoids(count, x, y);
}

void nl_silu(enum nl_isa isa, size_t count, const float *x, float *y) {
    instances[isa]->silu(count, x, y);
}

void nl_silu_backward(enum nl_isa isa, size_t count, const float *x, const float *dy, float *dx) {
    instances[isa]->silu_backward(count, x, dy, dx);
}

void nl_silu_slope(enum nl_isa isa, size_t count, const float *x, float *y) {
    instances[isa]->silu_slope(count, x, y);
}

void nl_silu_slope_backward(enum nl_isa isa, size_t count, const float *x, const float *dy, float *dx) {
    instances[isa]->silu_slope_backward(count, x, dy, dx);
}

void nl_add(enum nl_isa isa, size_t count, const float *a, const float *b, float *y) {
    instances[isa]->add(count, a, b, y);
}

void nl_multiply(enum nl_isa isa, size_t count, const float *a, const float *b, float *y) {
    instances[isa]->multiply(count, a, b, y);
}

void nl_multiply_accumulate(enum nl_isa isa, size_t count, const float *a, const float *b, float *y) {
    instances[isa]->multiply_accumulate(count, a, b, y);
}

void nl_axpy(enum nl_isa isa, size_t count, float scale, const float *x, float *y) {
    instances[isa]->axpy(count, scale, x, y);
}

void nl_add_signed(enum nl_isa isa, size_t count, float value, const uint64_t *bits, float *y) {
    instances[isa]->add_signed(count, value, bits, y);
}

void nl_adamw_step(
    enum nl_isa isa, size_t count, struct nl_adamw step, const float *gradient, float *parameter, float *first,
    float *second) {
    instances[isa]->adamw(count, step, gradient, parameter, first, second);
}

void nl_unit_rows(enum nl_isa isa, size_t rows, size_t width, float epsilon, const float *x, float *y, float *scales) {
    instances[isa]->unit_rows(rows, width, epsilon, x, y, scales);
}

void nl_unit_rows_backward(
    enum nl_isa isa, size_t rows, size_t width, const float *y, const float *scales, const float *dy, float *dx) {
    instances[isa]->unit_rows_backward(rows, width, y, scales, dy, dx);
}

void nl_rms_rows(
    enum nl_isa isa, size_t rows, size_t width, float epsilon, const float *x, const float *gain, float *y, float
    *scales) {
    instances[isa]->rms_rows(rows, width, epsilon, x, gain, y, scales);
}

void nl_rms_rows_backward(
    enum nl_isa isa, size_t rows, size_t width, const float *x, const float *gain, const float *scales, const
    float *dy, float *dx, float *dgain) {
    instances[isa]->rms_rows_backward(rows, width, x, gain, scales, dy, dx, dgain);
}

void nl_cross_entropy_rows(
    enum nl_isa isa, size_t rows, size_t width, float *x, const int32_t *targets, const float *weights, float
    *losses) {
    instances[isa]->cross_entropy_rows(rows, width, x, targets, weights, losses);
}

void nl_to_bfloat16(enum nl_isa isa, size_t count, const float *x, uint16_t *y) {
    instances[isa]->to_bfloat16(count, x, y);
}

void nl_from_bfloat16(enum nl_isa isa, size_t count, const uint16_t *x, float *y) {
    instances[isa]->from_bfloat16(count, x, y);
}

float nl_dot(enum nl_isa isa, size_t count, const float *a, const float *b) {
    return instances[isa]->dot(count, a, b);
}
