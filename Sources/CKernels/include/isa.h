// Which of a kernel's instances runs.
#ifndef NL_ISA_H
#define NL_ISA_H

#include <stdbool.h>

/// Instruction sets that every kernel is compiled for, from the least.
enum nl_isa {
    /// What the compiler assumes of every processor: SSE2, NEON.
    nl_isa_portable = 0,
    /// AVX2 with FMA.
    nl_isa_avx2 = 1,
    /// AVX-512 F, BW, DQ and VL.
    nl_isa_avx512 = 2,
} __attribute__((enum_extensibility(closed)));

/// The best one that this processor has, found when the program is loaded.
enum nl_isa nl_best_isa(void);

/// Whether the kernels of an instruction set round a product and its addition together.
bool nl_has_fused_multiply_add(enum nl_isa isa);

#endif
