/*
 * tsc-khz: prints the rate of this machine's time stamp counter, in kHz.
 *
 * An emulated guest reads the same counter, but measures its rate against an emulated timer: on a busy machine that
 * fails, and the guest hangs while it boots (found with QEMU 7.2, Linux 6.1, three busy threads on two CPUs). So
 * launch-guest.sh tells it the rate.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Both clocks at one moment: of a hundred tries the one that took least. */
static void read_both(uint64_t *tsc, int64_t *ns)
{
    int64_t least = INT64_MAX;
    for (int i = 0; i < 100; i++) {
        int64_t before = now_ns();
        uint64_t t = __rdtsc();
        int64_t after = now_ns();
        if (after - before < least) {
            least = after - before;
            *tsc = t;
            *ns = before + least / 2;
        }
    }
}

int main(void)
{
    uint64_t tsc_from, tsc_to;
    int64_t ns_from, ns_to;
    struct timespec pause = { 0, 50000000 };
    read_both(&tsc_from, &ns_from);
    nanosleep(&pause, NULL);
    read_both(&tsc_to, &ns_to);
    printf("%.0f\n", (tsc_to - tsc_from) * 1e6 / (ns_to - ns_from));
}
