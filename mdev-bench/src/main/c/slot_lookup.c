/*
 * The yardstick for SlotLookupBench: a binary search over the same table, in C.
 *
 *   cc -O2 -o slot_lookup slot_lookup.c && ./slot_lookup 32764
 *
 * Prints nanoseconds a lookup: the least of five rounds.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { STRIDE_PAGES = 8, SLOT_PAGES = 4, GFNS = 1 << 16, ROUNDS = 5, LOOKUPS = 20000000 };

struct slot {
    uint64_t base_gfn, npages, hva;
};

static const struct slot *find(const struct slot *slots, size_t n, uint64_t gfn)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (slots[middle].base_gfn <= gfn)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return NULL;
    const struct slot *slot = &slots[low - 1];
    return gfn - slot->base_gfn < slot->npages ? slot : NULL;
}

int main(int argc, char **argv)
{
    size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 512;
    struct slot *slots = calloc(n, sizeof *slots);
    uint64_t *gfns = calloc(GFNS, sizeof *gfns);
    if (!slots || !gfns)
        return 1;
    for (size_t i = 0; i < n; i++)
        slots[i] = (struct slot){i * STRIDE_PAGES, SLOT_PAGES, 0x1000000000ull};
    uint64_t x = 42;
    for (int i = 0; i < GFNS; i++) {
        x = x * 6364136223846793005ull + 1442695040888963407ull;
        gfns[i] = (x >> 33) % (n * STRIDE_PAGES);
    }
    double best = 1e9;
    uint64_t found = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct timespec a, b;
        clock_gettime(CLOCK_MONOTONIC, &a);
        for (int i = 0; i < LOOKUPS; i++) {
            const struct slot *slot = find(slots, n, gfns[i & (GFNS - 1)]);
            found += slot ? slot->hva : 1;
        }
        clock_gettime(CLOCK_MONOTONIC, &b);
        double ns = ((b.tv_sec - a.tv_sec) * 1e9 + (b.tv_nsec - a.tv_nsec)) / LOOKUPS;
        if (ns < best)
            best = ns;
    }
    printf("slots=%zu random lookup %.1f ns (checksum %llu)\n", n, best,
           (unsigned long long)found);
    return 0;
}
