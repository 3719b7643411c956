/* Lets back-ends take turns on the same two CPUs, a fraction of a second each, so that whatever the machine does meanwhile does
 * the same to all of them. Each has a generator of its own. Who has no turn is stopped (SIGSTOP): first its generator pauses and
 * takes what is under way, then both processes stand still.
 *
 * take-turns ROUNDS MILLISECONDS LEAD CORE_TO_CORE NAME:BACK_END_PID:GENERATOR_PID:FILE...
 *
 * A turn is LEAD milliseconds to warm the caches and MILLISECONDS that count; with ROUNDS 0 each has one turn that does not count. In
 * every other round the order is reversed. Prints for each turn that counts the name and what the program CORE_TO_CORE said
 * before and after it. In the end all stand still.
 */
#include "turns.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { MOST = 8, DRAIN_MS = 3, WAKE_MS = 1 };

static struct contender {
    char name[32];
    int pids[2]; /* back-end, generator */
    struct turns *turns;
} contenders[MOST];

static void die(const char *what)
{
    fprintf(stderr, "take-turns: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void sleep_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

static void parse(struct contender *contender, const char *text)
{
    char file[256];
    if (sscanf(text, "%31[^:]:%d:%d:%255s", contender->name, &contender->pids[0], &contender->pids[1], file) != 4)
        die(text);
    int fd = open(file, O_RDWR);
    contender->turns = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *contender->turns, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (contender->turns == MAP_FAILED)
        die(file);
}

static void signal_both(const struct contender *contender, int number)
{
    for (int i = 0; i < 2; i++)
        if (kill(contender->pids[i], number))
            die(contender->name);
}

static void take_turn(const struct contender *contender, long lead, long ms)
{
    signal_both(contender, SIGCONT);
    sleep_ms(WAKE_MS);
    contender->turns->word = WARM;
    sleep_ms(lead);
    if (ms) {
        contender->turns->word = MEASURE;
        sleep_ms(ms);
    }
    contender->turns->word = PAUSE;
    sleep_ms(DRAIN_MS);
    signal_both(contender, SIGSTOP);
}

static int core_to_core(const char *program)
{
    int ns = 0;
    FILE *answer = popen(program, "r");
    if (!answer || fscanf(answer, "%d", &ns) != 1 || pclose(answer))
        die(program);
    return ns;
}

int main(int argc, char **argv)
{
    const int count = argc - 5;
    if (count < 1 || count > MOST) {
        fprintf(stderr, "see the head of take-turns.c\n");
        return 2;
    }
    const int rounds = atoi(argv[1]);
    const long ms = atol(argv[2]), lead = atol(argv[3]);
    for (int i = 0; i < count; i++)
        parse(&contenders[i], argv[5 + i]);
    if (!rounds) {
        for (int i = 0; i < count; i++)
            take_turn(&contenders[i], lead, 0);
        return 0;
    }
    int before = core_to_core(argv[4]);
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < count; i++) {
            const struct contender *contender = &contenders[round % 2 ? count - 1 - i : i];
            take_turn(contender, lead, ms);
            const int after = core_to_core(argv[4]);
            printf("%s %d %d\n", contender->name, before, after);
            fflush(stdout);
            before = after;
        }
    }
    return 0;
}
