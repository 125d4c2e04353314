/*
 * The yardstick for DirtyLogBench: the loop of Linux's kvm_get_dirty_log_protect over the bitmap of
 * a slot of 1 TiB, without the write protection, and the copy to the reader that follows it.
 *
 *   cc -O2 -o dirty_harvest dirty_harvest.c && ./dirty_harvest
 *
 * Prints milliseconds, the mean and the least of ten rounds: for no page, one in 100, every second.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WARMUPS = 5, ROUNDS = 10 };
static const size_t PAGES = 1ull << 28;
static const size_t WORDS = (1ull << 28) / 64;

static void dirty(uint64_t *live, int percent)
{
    if (percent == 50)
        for (size_t i = 0; i < WORDS; i++)
            live[i] |= 0x5555555555555555ull;
    else if (percent == 1)
        for (size_t page = 0; page < PAGES; page += 100)
            live[page / 64] |= 1ull << (page % 64);
}

/* What Linux does: a word at a time, each that is not zero with one locked instruction. */
static int harvest(uint64_t *live, uint64_t *snapshot)
{
    int any = 0;
    memset(snapshot, 0, WORDS * sizeof *snapshot);
    for (size_t i = 0; i < WORDS; i++) {
        if (!__atomic_load_n(&live[i], __ATOMIC_RELAXED))
            continue;
        any = 1;
        snapshot[i] = __atomic_exchange_n(&live[i], 0, __ATOMIC_SEQ_CST);
    }
    return any;
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

int main(void)
{
    size_t bytes = WORDS * sizeof(uint64_t);
    uint64_t *live = malloc(bytes), *snapshot = malloc(bytes), *reader = malloc(bytes);
    if (!live || !snapshot || !reader)
        return 1;
    memset(live, 0, bytes);
    memset(snapshot, 1, bytes);
    memset(reader, 2, bytes);
    const int percents[] = {0, 1, 50};
    for (int p = 0; p < 3; p++) {
        double sum = 0, least = 1e9, copy_sum = 0, copy_least = 1e9;
        uint64_t checksum = 0;
        for (int round = -WARMUPS; round < ROUNDS; round++) {
            dirty(live, percents[p]);
            double a = now_ms();
            checksum += harvest(live, snapshot);
            memcpy(reader, snapshot, bytes);
            double b = now_ms();
            memcpy(reader, snapshot, bytes);
            double c = now_ms();
            checksum += reader[WORDS / 2];
            if (round < 0)
                continue;
            sum += b - a;
            copy_sum += c - b;
            least = b - a < least ? b - a : least;
            copy_least = c - b < copy_least ? c - b : copy_least;
        }
        printf("dirty=%2d%% get mean %6.2f least %6.2f, copy mean %5.2f least %5.2f (checksum %llx)\n",
               percents[p], sum / ROUNDS, least, copy_sum / ROUNDS, copy_least,
               (unsigned long long)checksum);
    }
    return 0;
}
