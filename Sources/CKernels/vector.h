// Instruction sets that every kernel is compiled for. A kernel file is written once, with names made by ISA(name),
// and included for each of them; `nl_best_isa` says which one the processor has.
//
// Tables of functions, and not ifuncs (target_clones): those run before the sanitizers are ready and crash under TSan.
#ifndef NL_VECTOR_H
#define NL_VECTOR_H

#include "include/isa.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

// 16 floats: one AVX-512 register, two of AVX2, four of SSE2 or NEON.
typedef float v16 __attribute__((vector_size(64)));
typedef float v16u __attribute__((vector_size(64), aligned(4)));
typedef int32_t i16 __attribute__((vector_size(64)));
typedef uint32_t u16 __attribute__((vector_size(64)));

// One number in every lane.
#define NL_BROADCAST(x) ((x) - (v16){0})

// Lane by lane: mask ? yes : no.
#define NL_SELECT(mask, yes, no) ((v16)(((mask) & (i16)(yes)) | (~(mask) & (i16)(no))))

#define NL_ABSOLUTE(x) ((v16)((i16)(x) & 0x7fffffff))

// A vector of floats' bits rounded to bfloat16, which stands in the upper halves: to nearest, ties to even; a NaN keeps its
// sign and upper bits, and becomes quiet.
#define NL_IS_NAN(bits) ((__typeof__(bits))(((bits) & 0x7fffffffu) > 0x7f800000u))
#define NL_BFLOAT16(bits)                   \
    ((NL_IS_NAN(bits) & ((bits) | 0x400000u)) | \
     (~NL_IS_NAN(bits) & ((bits) + 0x7fffu + (((bits) >> 16) & 1u))))

// Vectors are passed between these, which would be a question of ABI if they were ever called.
#pragma clang diagnostic ignored "-Wpsabi"
#define NL_INLINE static inline __attribute__((always_inline))

#define NL_AVX2 __attribute__((target("avx2,fma")))
#define NL_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")))

#endif
