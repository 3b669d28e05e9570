/* Detects instruction sets: cpuid for the processor, XCR0 for the operating system. */
#include "ff_internal.h"

#ifdef FF_X86

#ifdef _MSC_VER
#include <intrin.h>

static void cpuid(unsigned leaf, unsigned out[4])
{
    int registers[4];
    __cpuidex(registers, (int)leaf, 0);
    for (int i = 0; i < 4; i++)
        out[i] = (unsigned)registers[i];
}

static uint64_t xcr0(void)
{
    return _xgetbv(0);
}
#else
#include <cpuid.h>

static void cpuid(unsigned leaf, unsigned out[4])
{
    __cpuid_count(leaf, 0, out[0], out[1], out[2], out[3]);
}

static uint64_t xcr0(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}
#endif

unsigned ff_cpu_probe(void)
{
    enum { EBX = 1, ECX = 2 };
    const unsigned osxsave = 1u << 27, avx = 1u << 28;                /* leaf 1, ECX */
    const unsigned avx2 = 1u << 5;                                    /* leaf 7, EBX */
    const unsigned f = 1u << 16, dq = 1u << 17, bw = 1u << 30, vl = 1u << 31;
    const unsigned vnni = 1u << 11;                                   /* leaf 7, ECX */
    const unsigned avx512 = f | dq | bw | vl;
    const uint64_t ymm = 0x6, zmm = 0xe6;                             /* XCR0 */
    unsigned leaf[4];
    unsigned found = 0;

    cpuid(0, leaf);
    if (leaf[0] < 7)
        return 0;
    cpuid(1, leaf);
    if ((leaf[ECX] & (osxsave | avx)) != (osxsave | avx))
        return 0;
    const uint64_t state = xcr0();
    cpuid(7, leaf);
    if ((state & ymm) == ymm && (leaf[EBX] & avx2))
        found |= FF_CPU_AVX2;
    if ((state & zmm) == zmm && (leaf[EBX] & avx512) == avx512 && (leaf[ECX] & vnni))
        found |= FF_CPU_AVX512;
    return found;
}

#else

unsigned ff_cpu_probe(void)
{
    return 0;
}

#endif
