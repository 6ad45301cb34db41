/*
 * Makers and generations of processors; see processor.h.
 */
#include "processor.h"

#include <stddef.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* AMD's families by generation: Zen 3 and 4, then Zen 5. */
enum { AMD_ZEN3 = 0x19 };

processor processor_detect(void)
{
    processor p = {{0}, 0};
#if defined(__x86_64__)
    unsigned a = 0, b = 0, c = 0, d = 0;

    if (!__get_cpuid(0, &a, &b, &c, &d))
        return p;
    memcpy(p.maker, &b, 4);
    memcpy(p.maker + 4, &d, 4);
    memcpy(p.maker + 8, &c, 4);
    if (__get_cpuid(1, &a, &b, &c, &d)) {
        p.family = (int32_t)(a >> 8 & 15);
        if (p.family == 15) /* continues in the extended family */
            p.family += (int32_t)(a >> 20 & 255);
    }
#endif
    return p;
}

weight_prefetch processor_best_prefetch(const processor *p)
{
    /* Zen 3 and Zen 5 read fc6 faster so; Sapphire Rapids takes twice the time. */
    return strcmp(p->maker, "AuthenticAMD") == 0 && p->family >= AMD_ZEN3 ? PREFETCH_NONTEMPORAL
                                                                          : PREFETCH_HARDWARE;
}

weight_prefetch processor_prefetch(const char *name)
{
    const processor here = processor_detect();

    if (name != NULL && strcmp(name, "hardware") == 0)
        return PREFETCH_HARDWARE;
    if (name != NULL && strcmp(name, "nontemporal") == 0)
        return PREFETCH_NONTEMPORAL;
    return processor_best_prefetch(&here);
}
