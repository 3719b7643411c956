/* Prints how many nanoseconds a cache line takes from CPU 0 to CPU 1 and back: who moves packets between two cores waits for
 * that, and on a virtual machine it changes when its host moves a virtual CPU.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { WARM_UP = 1000, TURNS = 20000 };

static _Alignas(128) _Atomic uint32_t ball;

static void pin(int cpu)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof one, &one)) {
        perror("core-to-core: CPUs 0 and 1");
        exit(1);
    }
}

static void *return_it(void *unused)
{
    pin(1);
    for (uint32_t i = 0; i < TURNS; i++) {
        while (ball != 2 * i + 1)
            ;
        ball = 2 * i + 2;
    }
    return unused;
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

int main(void)
{
    pthread_t other;
    double begun = 0;
    pin(0);
    if (pthread_create(&other, NULL, return_it, NULL))
        return 1;
    for (uint32_t i = 0; i < TURNS; i++) {
        if (i == WARM_UP)
            begun = now_ns();
        ball = 2 * i + 1;
        while (ball != 2 * i + 2)
            ;
    }
    printf("%.0f\n", (now_ns() - begun) / (TURNS - WARM_UP));
    pthread_join(other, NULL);
}
