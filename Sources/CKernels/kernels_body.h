// Elementwise kernels, reductions over rows and the optimizer step. Included once per instruction set.
//
// Everything moves in vectors of 16 numbers; what is left at the end of an array is a vector filled up with zeros.
// So a number's result does not depend on its place in the array or on the array's length, and neither does the order
// in which a reduction adds.

#pragma clang fp contract(fast)

// Reads `count` numbers (1 to 16), zeros after them.
NL_INLINE v16 ISA(read)(const float *from, size_t count) {
    if (count >= 16) return *(const v16u *)from;
    v16 x = {0};
    memcpy(&x, from, count * sizeof(float));
    return x;
}

NL_INLINE void ISA(write)(float *to, size_t count, v16 x) {
    if (count >= 16) *(v16u *)to = x;
    else memcpy(to, &x, count * sizeof(float));
}

// Runs a statement with `i` at each vector's start and `left` numbers still to do.
#define NL_EACH(count, ...)                                                    \
    do {                                                                       \
        size_t i = 0;                                                          \
        for (; i + 16 <= (count); i += 16) {                                   \
            const size_t left = 16;                                            \
            __VA_ARGS__                                                        \
        }                                                                      \
        if (i < (count)) {                                                     \
            const size_t left = (count) - i;                                   \
            __VA_ARGS__                                                        \
        }                                                                      \
    } while (0)
#define NL_READ(pointer) ISA(read)((pointer) + i, left)
#define NL_WRITE(pointer, ...) ISA(write)((pointer) + i, left, (__VA_ARGS__))

// The sum of 16 numbers, as a tree.
NL_INLINE float ISA(total)(v16 x) {
    float y[16];
    memcpy(y, &x, sizeof y);
#pragma clang loop unroll(full)
    for (int half = 8; half > 0; half /= 2)
#pragma clang loop unroll(full)
        for (int i = 0; i < half; i++) y[i] += y[i + half];
    return y[0];
}

// e to the x: x = n log 2 + r with |r| <= log(2)/2, e^r by Cephes' polynomial, 2^n put into the exponent.
// Relative error at most 9e-8 where the result is normal; 0 below e^-87.33, infinity above e^88.72; NaN stays NaN.
NL_INLINE v16 ISA(exponential)(v16 x) {
    const v16 lowest = NL_BROADCAST(-87.33654f), highest = NL_BROADCAST(88.72283f);
    i16 is_low = x < lowest, is_high = x > highest;
    v16 y = NL_SELECT(is_low, lowest, x);
    y = NL_SELECT(is_high, highest, y);
    // Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits.
    v16 shifted = y * 1.44269504f + 12582912.0f;
    v16 n = shifted - 12582912.0f;
    v16 r = y - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    v16 p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    // 2^n in two factors: n reaches 128, which no exponent holds.
    i16 power = (i16)shifted - 0x4b400000;
    i16 half = power >> 1;
    v16 result = p * (v16)((half + 127) << 23) * (v16)((power - half + 127) << 23);
    result = NL_SELECT(is_low, (v16){0}, result);
    return NL_SELECT(is_high, NL_BROADCAST(__builtin_inff()), result);
}

// sigmoid(x) = 1 / (1 + e^-x) and 1 - sigmoid(x), which is sigmoid(-x): by e^-|x|, which does not overflow, and
// without the difference, which would lose the digits of the smaller one.
NL_INLINE void ISA(sigmoid_pair)(v16 x, v16 *sigmoid, v16 *rest) {
    v16 e = ISA(exponential)(-NL_ABSOLUTE(x));
    v16 larger = 1.0f / (1.0f + e), smaller = e * larger;
    i16 is_negative = x < 0.0f;
    *sigmoid = NL_SELECT(is_negative, smaller, larger);
    *rest = NL_SELECT(is_negative, larger, smaller);
}

NL_INLINE v16 ISA(sigmoid)(v16 x) {
    v16 s, rest;
    ISA(sigmoid_pair)(x, &s, &rest);
    return s;
}

// silu' = s(1 + x(1 - s))
NL_INLINE v16 ISA(slope_of_silu)(v16 x) {
    v16 s, rest;
    ISA(sigmoid_pair)(x, &s, &rest);
    return s * (1.0f + x * rest);
}

// silu'' = s(1 - s)(2 + x(1 - 2s))
NL_INLINE v16 ISA(bend_of_silu)(v16 x) {
    v16 s, rest;
    ISA(sigmoid_pair)(x, &s, &rest);
    return s * rest * (2.0f + x * (rest - s));
}

// MARK: Elementwise

static void ISA(exponentials)(size_t count, const float *x, float *y) {
    NL_EACH(count, NL_WRITE(y, ISA(exponential)(NL_READ(x))););
}

static float ISA(maximum)(size_t count, const float *x) {
    v16 largest = NL_BROADCAST(x[0]);
    NL_EACH(
        count, v16 a = largest; if (left >= 16) a = NL_READ(x); else memcpy(&a, x + i, left * sizeof(float));
        largest = NL_SELECT(a > largest, a, largest););
    float lanes[16];
    memcpy(lanes, &largest, sizeof lanes);
    for (int i = 1; i < 16; i++) lanes[0] = lanes[i] > lanes[0] ? lanes[i] : lanes[0];
    return lanes[0];
}

static float ISA(shifted_exponentials)(size_t count, const float *x, float shift, float *y) {
    v16 sum = {0};
    NL_EACH(count, NL_WRITE(y, ISA(exponential)(NL_READ(x) - shift)); sum += NL_READ(y););
    return ISA(total)(sum);
}

static void ISA(sigmoids)(size_t count, const float *x, float *y) {
    NL_EACH(count, NL_WRITE(y, ISA(sigmoid)(NL_READ(x))););
}

static void ISA(silu)(size_t count, const float *x, float *y) {
    NL_EACH(count, v16 a = NL_READ(x); NL_WRITE(y, a * ISA(sigmoid)(a)););
}

static void ISA(silu_backward)(size_t count, const float *x, const float *dy, float *dx) {
    NL_EACH(count, NL_WRITE(dx, NL_READ(dx) + NL_READ(dy) * ISA(slope_of_silu)(NL_READ(x))););
}

static void ISA(silu_slope)(size_t count, const float *x, float *y) {
    NL_EACH(count, NL_WRITE(y, ISA(slope_of_silu)(NL_READ(x))););
}

static void ISA(silu_slope_backward)(size_t count, const float *x, const float *dy, float *dx) {
    NL_EACH(count, NL_WRITE(dx, NL_READ(dx) + NL_READ(dy) * ISA(bend_of_silu)(NL_READ(x))););
}

static void ISA(add)(size_t count, const float *a, const float *b, float *y) {
    NL_EACH(count, NL_WRITE(y, NL_READ(a) + NL_READ(b)););
}

static void ISA(multiply)(size_t count, const float *a, const float *b, float *y) {
    NL_EACH(count, NL_WRITE(y, NL_READ(a) * NL_READ(b)););
}

static void ISA(multiply_accumulate)(size_t count, const float *a, const float *b, float *y) {
    NL_EACH(count, NL_WRITE(y, NL_READ(y) + NL_READ(a) * NL_READ(b)););
}

static void ISA(axpy)(size_t count, float scale, const float *x, float *y) {
    NL_EACH(count, NL_WRITE(y, NL_READ(y) + scale * NL_READ(x)););
}

static void ISA(add_signed)(size_t count, float value, const uint64_t *bits, float *y) {
    const u16 places = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const u16 size = (u16)NL_BROADCAST(value);
    NL_EACH(
        count, const uint32_t half = (uint32_t)(bits[i / 64] >> (i % 64)) & 0xffffu;
        u16 sign = (((u16){0} + half) >> places) << 31; NL_WRITE(y, NL_READ(y) + (v16)(size ^ sign)););
}

static void ISA(adamw)(
    size_t count, struct nl_adamw step, const float *gradient, float *parameter, float *first, float *second) {
    const float first_share = 1.0f - step.beta1, second_share = 1.0f - step.beta2;
    const float first_scale = 1.0f / step.correction1, second_scale = 1.0f / step.correction2;
    NL_EACH(
        count, v16 g = NL_READ(gradient) * step.gradient_scale;
        v16 m = step.beta1 * NL_READ(first) + first_share * g;
        v16 v = step.beta2 * NL_READ(second) + second_share * (g * g);
        v16 p = NL_READ(parameter);
        v16 root = __builtin_elementwise_sqrt(v * second_scale) + step.epsilon;
        NL_WRITE(first, m); NL_WRITE(second, v);
        NL_WRITE(parameter, p - step.learning_rate * (m * first_scale / root + step.weight_decay * p)););
}

// MARK: Rows

// Four sums run side by side, so that the adder's latency is hidden; vector number q always goes to sum q % 4.
NL_INLINE float ISA(dot)(size_t count, const float *a, const float *b) {
    v16 sum[4] = {{0}, {0}, {0}, {0}};
    size_t i = 0;
    for (; i + 64 <= count; i += 64)
#pragma clang loop unroll(full)
        for (int q = 0; q < 4; q++) sum[q] += *(const v16u *)(a + i + 16 * q) * *(const v16u *)(b + i + 16 * q);
#pragma clang loop unroll(full)
    for (int q = 0; q < 4; q++)
        if (i < count) {
            sum[q] += ISA(read)(a + i, count - i) * ISA(read)(b + i, count - i);
            i += 16;
        }
    return ISA(total)((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

static float ISA(dot_product)(size_t count, const float *a, const float *b) { return ISA(dot)(count, a, b); }

static void ISA(unit_rows)(size_t rows, size_t width, float epsilon, const float *x, float *y, float *scales) {
    for (size_t row = 0; row < rows; row++, x += width, y += width) {
        float scale = 1.0f / __builtin_sqrtf(ISA(dot)(width, x, x) + epsilon);
        scales[row] = scale;
        NL_EACH(width, NL_WRITE(y, NL_READ(x) * scale););
    }
}

static void ISA(unit_rows_backward)(
    size_t rows, size_t width, const float *y, const float *scales, const float *dy, float *dx) {
    for (size_t row = 0; row < rows; row++, y += width, dy += width, dx += width) {
        float along = ISA(dot)(width, dy, y), scale = scales[row];
        NL_EACH(width, NL_WRITE(dx, NL_READ(dx) + scale * (NL_READ(dy) - NL_READ(y) * along)););
    }
}

static void ISA(rms_rows)(
    size_t rows, size_t width, float epsilon, const float *x, const float *gain, float *y, float *scales) {
    for (size_t row = 0; row < rows; row++, x += width, y += width) {
        float scale = 1.0f / __builtin_sqrtf(ISA(dot)(width, x, x) / (float)width + epsilon);
        scales[row] = scale;
        NL_EACH(width, NL_WRITE(y, NL_READ(x) * scale * NL_READ(gain)););
    }
}

// With r = 1/sqrt(mean(x^2) + eps): dx = r (g dy) - x r^3 <x, g dy> / width.
static void ISA(rms_rows_backward)(
    size_t rows, size_t width, const float *x, const float *gain, const float *scales, const float *dy, float *dx,
    float *dgain) {
    for (size_t row = 0; row < rows; row++, x += width, dy += width, dx += width) {
        v16 sum = {0};
        NL_EACH(width, sum += NL_READ(x) * NL_READ(gain) * NL_READ(dy););
        float scale = scales[row];
        float pull = ISA(total)(sum) * scale * scale * scale / (float)width;
        NL_EACH(
            width, v16 a = NL_READ(x); v16 d = NL_READ(dy);
            NL_WRITE(dgain, NL_READ(dgain) + d * a * scale);
            NL_WRITE(dx, NL_READ(dx) + (scale * NL_READ(gain) * d - a * pull)););
    }
}

static void ISA(cross_entropy_rows)(
    size_t rows, size_t width, float *x, const int32_t *targets, const float *weights, float *losses) {
    for (size_t row = 0; row < rows; row++, x += width) {
        v16 most = NL_BROADCAST(x[0]);
        NL_EACH(
            width, v16 a = left == 16 ? NL_READ(x) : most;
            if (left < 16) memcpy(&a, x + i, left * sizeof(float));
            i16 is_more = a > most; most = NL_SELECT(is_more, a, most););
        float largest = most[0];
        for (int lane = 1; lane < 16; lane++) largest = most[lane] > largest ? most[lane] : largest;

        const float at_target = x[targets[row]];
        v16 sums = {0};
        NL_EACH(
            width, v16 e = ISA(exponential)(NL_READ(x) - largest);
            NL_WRITE(x, e);
            sums += ISA(read)(x + i, left););
        const float sum = ISA(total)(sums), scale = weights[row] / sum;
        losses[row] = logf(sum) + largest - at_target;
        NL_EACH(width, NL_WRITE(x, NL_READ(x) * scale););
        x[targets[row]] -= weights[row];
    }
}

// MARK: 16-bit numbers

static void ISA(to_bfloat16)(size_t count, const float *x, uint16_t *y) {
    NL_EACH(
        count, u16 bits = (u16)NL_READ(x);
        u16 chosen = NL_BFLOAT16(bits) >> 16;
        typedef uint16_t h16 __attribute__((vector_size(32)));
        h16 halves = __builtin_convertvector(chosen, h16); memcpy(y + i, &halves, left * sizeof(uint16_t)););
}

static void ISA(from_bfloat16)(size_t count, const uint16_t *x, float *y) {
    NL_EACH(
        count, typedef uint16_t h16 __attribute__((vector_size(32)));
        h16 halves = {0}; memcpy(&halves, x + i, left * sizeof(uint16_t));
        u16 bits = __builtin_convertvector(halves, u16) << 16; NL_WRITE(y, (v16)bits););
}

static const struct kernels ISA(kernels) = {
    .exponentials = ISA(exponentials),
    .maximum = ISA(maximum),
    .shifted_exponentials = ISA(shifted_exponentials),
    .sigmoids = ISA(sigmoids),
    .silu = ISA(silu),
    .silu_backward = ISA(silu_backward),
    .silu_slope = ISA(silu_slope),
    .silu_slope_backward = ISA(silu_slope_backward),
    .add = ISA(add),
    .multiply = ISA(multiply),
    .multiply_accumulate = ISA(multiply_accumulate),
    .axpy = ISA(axpy),
    .add_signed = ISA(add_signed),
    .adamw = ISA(adamw),
    .dot = ISA(dot_product),
    .unit_rows = ISA(unit_rows),
    .unit_rows_backward = ISA(unit_rows_backward),
    .rms_rows = ISA(rms_rows),
    .rms_rows_backward = ISA(rms_rows_backward),
    .cross_entropy_rows = ISA(cross_entropy_rows),
    .to_bfloat16 = ISA(to_bfloat16),
    .from_bfloat16 = ISA(from_bfloat16),
};

#undef NL_EACH
#undef NL_READ
#undef NL_WRITE
