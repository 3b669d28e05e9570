/* Chooses the kernels by name, or the fastest that run here. */
#include "ff_internal.h"

#include <string.h>

/* Fastest first. needs holds the required processor features; a table that is not in this build is
 * NULL. */
static const struct {
    const char *name;
    const struct ff_kernels *kernels;
    unsigned needs;
} isas[FF_ISA_COUNT] = {
#ifdef FF_X86
    {"avx512", &ff_avx512_kernels, FF_CPU_AVX512},
    {"avx2", &ff_avx2_kernels, FF_CPU_AVX2},
#else
    {"avx512", NULL, 0},
    {"avx2", NULL, 0},
#endif
#ifdef FF_ARM
    {"neon", &ff_neon_kernels, 0}, /* part of every 64-bit ARM processor */
#else
    {"neon", NULL, 0},
#endif
    {"scalar", &ff_scalar_kernels, 0},
};

enum ff_status ff_kernels_get(const char *name, const struct ff_kernels **kernels)
{
    const unsigned have = ff_cpu_probe();
    enum ff_status status = FF_ENAME;
    for (size_t i = 0; i < FF_ISA_COUNT; i++) {
        if (name && strcmp(name, isas[i].name) != 0)
            continue;
        if (isas[i].kernels && (isas[i].needs & ~have) == 0) {
            *kernels = isas[i].kernels;
            return FF_OK;
        }
        status = FF_ENOTSUP;
    }
    return status;
}

const char *ff_kernels_name(const struct ff_kernels *kernels)
{
    return kernels->name;
}

const char *ff_isa_name(size_t i)
{
    return i < FF_ISA_COUNT ? isas[i].name : NULL;
}
