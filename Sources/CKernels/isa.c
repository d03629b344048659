#include "include/isa.h"

static enum nl_isa best = nl_isa_portable;

__attribute__((constructor)) static void find_best(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) best = nl_isa_avx2;
    if (best == nl_isa_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        best = nl_isa_avx512;
#endif
}

enum nl_isa nl_best_isa(void) { return best; }

bool nl_has_fused_multiply_add(enum nl_isa isa) {
#if defined(__aarch64__)
    (void)isa;
    return true;
#else
    return isa != nl_isa_portable;
#endif
}
