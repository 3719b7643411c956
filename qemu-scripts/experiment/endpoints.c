/*
 * endpoints: both ends of the experiment's traffic in one process, one network namespace each, and the accounts of what
 * the machine spent meanwhile.
 *
 *   endpoints [OPTION]... udp CLIENT SERVER CLIENT_IP SERVER_IP FRAME_BYTES DENIED_SHARE RATE SECONDS
 *       UDP from client to server, FRAME_BYTES on the wire without FCS. A DENIED_SHARE (0 to 1) of them goes to port 53,
 *       which the middlebox denies. RATE frames a second; 0: as fast as they arrive, at most WINDOW under way.
 *       Each frame carries time, number and a pattern, so that latency (one way: there is one clock), loss, duplicates
 *       and damage are known.
 *   endpoints [OPTION]... tcp CLIENT SERVER SERVER_IP MBIT SECONDS
 *       One TCP connection from client to server; MBIT 0: as fast as it goes. The server compares the first bytes and
 *       takes the others without copying them: the way is measured, not memcpy.
 *   endpoints [OPTION]... ping CLIENT SERVER SERVER_IP RATE SECONDS
 *       ICMP echo requests from the client; the server's kernel answers.
 *   endpoints [OPTION]... run CLIENT SERVER COMMAND ARGUMENT...
 *       Any other client, started in the client's namespace; its servers are named with --watch endpoints=PID.
 *   endpoints offloads NAMESPACE on|off INTERFACE...
 *       Checksum and segmentation offloads of the interfaces.
 *   endpoints stats SOCKET
 *       The counters of the back-end behind this control socket, without the time that a JVM needs to start.
 *
 *   --json FILE              where the result goes; else to standard output
 *   --watch LABEL=PID,...    CPU time of these processes, summed up by LABEL; repeatable
 *   --stats SOCKET           the counters of the back-end behind this control socket, before and after
 *   --beside CLIENT_IP,SERVER_IP
 *       For paced udp: the half of SECONDS this way instead, in turns of SLICE. A machine that other tenants slow down
 *       does so for both; what both spent in one run can be subtracted, where two runs differ by more than that.
 *
 * CLIENT, SERVER and NAMESPACE are files of namespaces, as /run/netns/NAME.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <math.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    ALLOWED_PORT = 7000,
    DENIED_PORT = 53,
    HEADERS = 14 + 20 + 8,
    MAX_PAYLOAD = 1472,
    WINDOW = 256,               /* frames under way: enough to keep every arrangement busy, too few to fill its queues */
    MAX_CATCH_UP = 8,           /* frames that a late sender sends at once */
    BATCH = 64,
    MAX_SEQUENCE = 1 << 26,
    MAX_LATENCIES = 1 << 22,
    CHUNK = 1 << 20,
    COMPARED = 8 << 20,         /* bytes of a TCP connection that are compared */
    PACED_WRITE = 1 << 16,
    MAX_WAYS = 2,
    MAX_LABELS = 8,
    MAX_WATCHED = 64,
};
static const int64_t SECOND = 1000000000LL, MILLISECOND = 1000000LL;
/* How long paced traffic goes one way, the last of that for frames to arrive; and how long frames may keep it waiting. */
static const int64_t SLICE = 50000000LL, REST = 5000000LL, PATIENCE = 30000000LL;
static const uint32_t MAGIC = 0x4d595056;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "endpoints: %s: %s\n", what, strerror(errno));
    exit(1);
}

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "endpoints: %s\n", what);
    exit(1);
}

static _Noreturn void usage(const char *what)
{
    fprintf(stderr, "endpoints: %s (see the top of endpoints.c)\n", what);
    exit(2);
}

static double number(const char *text, double low, double high, const char *what)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= low && value <= high))
        usage(what);
    return value;
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * SECOND + t.tv_nsec;
}

/* The clock of time stamps of frames. */
static int64_t wall_clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * SECOND + t.tv_nsec;
}

static void sleep_until_ns(int64_t when)
{
    struct timespec t = { when / SECOND, when % SECOND };
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static struct sockaddr_in address(const char *ip, int port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
    if (inet_pton(AF_INET, ip, &at.sin_addr) != 1)
        usage("not an IPv4 address");
    return at;
}

/* The calling thread changes its namespace; sockets stay in the one they were made in. */
static void enter(const char *namespace)
{
    int fd = open(namespace, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET))
        die(namespace);
    close(fd);
}

/* ---- accounts ---- */

struct label {
    char name[32];
    int pids[MAX_WATCHED], count;
};

static struct label labels[MAX_LABELS];
static int label_count;
static const char *stats_socket;
static char *beside;
static const char *namespaces[2];

/* What the machine and its processes have spent up to a moment; differences of two are what is reported. */
struct spent {
    int64_t time;
    double idle, softirq, own, watched[MAX_LABELS];
};

struct snapshot {
    struct spent spent;
    uint64_t checksum_errors, socket_drops;
    char *stats;
};

static double cpu_clock(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t))
        die("the clock of a process's CPU time");
    return t.tv_sec + t.tv_nsec / 1e9;
}

static double process_cpu(int pid)
{
    clockid_t clock;
    if (clock_getcpuclockid(pid, &clock)) {
        fprintf(stderr, "endpoints: process %d has ended\n", pid);
        exit(1);
    }
    return cpu_clock(clock);
}

static double children_cpu(void)
{
    struct rusage spent;
    getrusage(RUSAGE_CHILDREN, &spent);
    return spent.ru_utime.tv_sec + spent.ru_stime.tv_sec + (spent.ru_utime.tv_usec + spent.ru_stime.tv_usec) / 1e6;
}

/* An idle CPU's account is open until it does something: so this thread runs on each of them for a moment, if it may. */
static bool wake_all_cpus(void)
{
    cpu_set_t all, one;
    if (sched_getaffinity(0, sizeof all, &all) || CPU_COUNT(&all) != sysconf(_SC_NPROCESSORS_ONLN))
        return false;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &all)) {
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            if (sched_setaffinity(0, sizeof one, &one))
                die("sched_setaffinity");
        }
    return sched_setaffinity(0, sizeof all, &all) == 0;
}

/*
 * The time that CPUs were idle is known exactly, as the kernel notes when an idle CPU begins and ends to be so. The other
 * columns of /proc/stat are samples of the timer tick, and a load that timers wake is sampled wrong. So what was spent is
 * what was not idle. /proc/timer_list tells it in nanoseconds; where there is none, /proc/uptime in hundredths of a second, which
 * is too coarse for turns.
 */
static double idle_s(void)
{
    static const char *const sleeping[] = { ".idle_sleeptime", ".iowait_sleeptime" };
    char line[256];
    double idle = 0, more;
    FILE *file = wake_all_cpus() ? fopen("/proc/timer_list", "r") : NULL;
    bool found = false;
    if (file) {
        while (fgets(line, sizeof line, file))
            for (int i = 0; i < 2; i++) {
                char *at = strstr(line, sleeping[i]), *colon = at ? strchr(at, ':') : NULL;
                if (colon && sscanf(colon + 1, "%lf", &more) == 1) {
                    idle += more / 1e9;
                    found = true;
                }
            }
        fclose(file);
        if (found)
            return idle;
    }
    if (beside)
        fail("--beside needs /proc/timer_list, and to run on all CPUs");
    unsigned long long iowait;
    file = fopen("/proc/uptime", "r");
    if (!file || fscanf(file, "%*s %lf", &idle) != 1)
        die("/proc/uptime");
    fclose(file);
    file = fopen("/proc/stat", "r");
    if (!file || fscanf(file, "cpu %*u %*u %*u %*u %llu", &iowait) != 1)
        die("/proc/stat");
    fclose(file);
    return idle + (double)iowait / sysconf(_SC_CLK_TCK);
}

static double softirq_s(void)
{
    unsigned long long softirq;
    FILE *file = fopen("/proc/stat", "r");
    if (!file || fscanf(file, "cpu %*u %*u %*u %*u %*u %*u %llu", &softirq) != 1)
        die("/proc/stat");
    fclose(file);
    return (double)softirq / sysconf(_SC_CLK_TCK);
}

/* Adds one counter of the calling thread's namespace; in /proc/net/snmp a line of names precedes each line of values. */
static uint64_t network_counter(const char *protocol, const char *name)
{
    char names[1024], values[1024];
    uint64_t found = 0;
    FILE *file = fopen("/proc/thread-self/net/snmp", "r");
    if (!file)
        die("/proc/net/snmp");
    size_t length = strlen(protocol);
    while (fgets(names, sizeof names, file) && fgets(values, sizeof values, file)) {
        if (strncmp(names, protocol, length) || names[length] != ':')
            continue;
        char *n, *v, *in_names, *in_values;
        n = strtok_r(names, " \n", &in_names);
        v = strtok_r(values, " \n", &in_values);
        while (n && v) {
            if (!strcmp(n, name))
                found = strtoull(v, NULL, 10);
            n = strtok_r(NULL, " \n", &in_names);
            v = strtok_r(NULL, " \n", &in_values);
        }
    }
    fclose(file);
    return found;
}

static void network(struct snapshot *s)
{
    for (int i = 0; i < 2; i++) {
        enter(namespaces[i]);
        s->checksum_errors += network_counter("Udp", "InCsumErrors") + network_counter("Tcp", "InCsumErrors") +
            network_counter("Icmp", "InCsumErrors") + network_counter("Ip", "InHdrErrors");
        s->socket_drops += network_counter("Udp", "RcvbufErrors");
    }
}

static char *back_end(void)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    snprintf(at.sun_path, sizeof at.sun_path, "%s", stats_socket);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at))
        die(stats_socket);
    static const char request[] = "GET /v1/stats HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    if (write(fd, request, sizeof request - 1) != sizeof request - 1)
        die(stats_socket);
    size_t room = 1 << 20, length = 0;
    char *answer = malloc(room);
    for (ssize_t n; length < room - 1 && (n = read(fd, answer + length, room - 1 - length)) > 0;)
        length += n;
    close(fd);
    answer[length] = 0;
    char *body = strstr(answer, "\r\n\r\n");
    if (!body || strncmp(answer, "HTTP/1.1 200", 12))
        fail("the back-end's answer is no report");
    return body + 4;
}

static struct spent spent_now(void)
{
    struct spent s = { 0 };
    s.idle = idle_s();
    s.time = now_ns();
    s.softirq = softirq_s();
    for (int i = 0; i < label_count; i++)
        for (int j = 0; j < labels[i].count; j++)
            s.watched[i] += process_cpu(labels[i].pids[j]);
    s.own = cpu_clock(CLOCK_PROCESS_CPUTIME_ID) + children_cpu();
    return s;
}

/* Adds what was spent between two moments to an account. */
static void add_spent(struct spent *account, const struct spent *from, const struct spent *to)
{
    account->time += to->time - from->time;
    account->idle += to->idle - from->idle;
    account->softirq += to->softirq - from->softirq;
    account->own += to->own - from->own;
    for (int i = 0; i < label_count; i++)
        account->watched[i] += to->watched[i] - from->watched[i];
}

/* To take a snapshot costs time too: the machine's account is opened last and closed first. */
static struct snapshot begin(void)
{
    struct snapshot s = { 0 };
    if (stats_socket) {
        s.stats = back_end();
        usleep(20000); /* for what the back-end does behind its answer */
    }
    network(&s);
    s.spent = spent_now();
    return s;
}

static struct snapshot end(void)
{
    struct snapshot s = { .spent = spent_now() };
    network(&s);
    if (stats_socket)
        s.stats = back_end();
    return s;
}

static FILE *out;

static double system_s(const struct spent *spent)
{
    return spent->time / 1e9 * sysconf(_SC_NPROCESSORS_ONLN) - spent->idle;
}

static void report_spent(const struct spent *spent)
{
    double own = spent->own;
    fprintf(out, "\"cpu_s\": {\"system\": %.5f", system_s(spent));
    for (int i = 0; i < label_count; i++)
        if (!strcmp(labels[i].name, "endpoints"))
            own += spent->watched[i];
        else
            fprintf(out, ", \"%s\": %.5f", labels[i].name, spent->watched[i]);
    if (!isnan(spent->softirq))
        fprintf(out, ", \"softirq\": %.4f", spent->softirq);
    fprintf(out, ", \"endpoints\": %.5f}", own);
}

static void report_counters(const struct snapshot *from, const struct snapshot *to)
{
    fprintf(out, ", \"checksum_errors\": %llu, \"socket_drops\": %llu",
            (unsigned long long)(to->checksum_errors - from->checksum_errors),
            (unsigned long long)(to->socket_drops - from->socket_drops));
    if (stats_socket)
        fprintf(out, ", \"stats\": [%s, %s]", from->stats, to->stats);
}

/* Opens the result's JSON object; each mode adds its own members and closes it. */
static void report(const struct snapshot *from, const struct snapshot *to)
{
    struct spent spent = { 0 };
    add_spent(&spent, &from->spent, &to->spent);
    fprintf(out, "{\"seconds\": %.4f, ", spent.time / 1e9);
    report_spent(&spent);
    report_counters(from, to);
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint32_t *latencies;
static size_t latency_count;

static void note_latency(int64_t ns)
{
    if (latency_count < MAX_LATENCIES)
        latencies[latency_count++] = ns < 0 ? 0 : ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

static void report_latencies(void)
{
    if (!latency_count) {
        fprintf(out, ", \"latency_us\": null");
        return;
    }
    qsort(latencies, latency_count, sizeof *latencies, by_size);
    fprintf(out, ", \"latency_us\": {\"median\": %.1f, \"p99\": %.1f}", latencies[(latency_count - 1) / 2] / 1e3,
            latencies[(size_t)((latency_count - 1) * 0.99)] / 1e3);
}

/* ---- UDP ---- */

struct stamp {
    int64_t time;
    uint32_t sequence;
    uint32_t magic;
};

/* One way from client to server. */
struct way {
    int allowed_out, denied_out, allowed_in, denied_in; /* sockets */
    uint64_t sent, sent_denied, denied_delivered;
    _Atomic uint64_t delivered;
    int64_t sending; /* ns, without the rests at the ends of turns */
    struct spent spent;
    uint64_t accounted; /* frames that this was spent for: not all, where the ways take turns */
};

struct udp {
    struct way ways[MAX_WAYS];
    int way_count;
    bool paced;
    atomic_bool stopping;
    uint64_t duplicates, damaged;
    _Atomic int64_t last; /* when the last frame arrived */
};

static uint8_t noise[4096];
static uint8_t *seen;
static size_t payload;

static void make_noise(void)
{
    uint32_t value = 1;
    for (size_t i = 0; i < sizeof noise; i++) {
        value = value * 1664525 + 1013904223;
        noise[i] = value >> 24;
    }
}

static const uint8_t *pattern(uint32_t sequence)
{
    return noise + sequence % (sizeof noise - MAX_PAYLOAD);
}

/* When the kernel took the frame from the server's interface: how late the receiver gets to it does not count. */
static int64_t arrival(struct msghdr *message)
{
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part))
        if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec t;
            memcpy(&t, CMSG_DATA(part), sizeof t);
            return t.tv_sec * SECOND + t.tv_nsec;
        }
    fail("a frame has no time stamp");
}

static void take(struct udp *udp, struct way *way, const uint8_t *frame, size_t length, int64_t arrived)
{
    struct stamp stamp;
    memcpy(&stamp, frame, sizeof stamp);
    if (length != payload || stamp.magic != MAGIC || stamp.sequence >= MAX_SEQUENCE ||
        memcmp(frame + sizeof stamp, pattern(stamp.sequence), payload - sizeof stamp)) {
        udp->damaged++;
        return;
    }
    uint8_t bit = 1 << stamp.sequence % 8;
    if (seen[stamp.sequence / 8] & bit) {
        udp->duplicates++;
        return;
    }
    seen[stamp.sequence / 8] |= bit;
    if (way == udp->ways)
        note_latency(arrived - stamp.time);
    way->delivered++;
}

static void *receive(void *argument)
{
    struct udp *udp = argument;
    static uint8_t frames[BATCH][MAX_PAYLOAD + 1];
    struct iovec parts[BATCH];
    struct mmsghdr messages[BATCH] = { 0 };
    static char extra[BATCH][64];
    for (int i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec) { frames[i], sizeof frames[i] };
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    struct pollfd ready[] = { { .fd = udp->ways->allowed_in, .events = POLLIN }, { .fd = udp->ways->denied_in, .events = POLLIN } };
    while (!udp->stopping) {
        /*
         * Paced frames are collected every millisecond: so that the receiver costs as much wherever they come from, one by
         * one or in bursts. The baseline's cost would not be that of the others, else.
         */
        if (udp->paced)
            usleep(1000);
        else
            poll(ready, 2, 20);
        for (struct way *way = udp->ways; way < udp->ways + udp->way_count; way++) {
            for (int n;;) {
                for (int i = 0; i < BATCH; i++) {
                    messages[i].msg_hdr.msg_control = extra[i];
                    messages[i].msg_hdr.msg_controllen = sizeof extra[i];
                }
                if ((n = recvmmsg(way->allowed_in, messages, BATCH, MSG_DONTWAIT, NULL)) <= 0)
                    break;
                for (int i = 0; i < n; i++)
                    take(udp, way, frames[i], messages[i].msg_len, arrival(&messages[i].msg_hdr));
                udp->last = now_ns();
            }
            if (udp->paced || ready[1].revents)
                while (recv(way->denied_in, frames[0], sizeof frames[0], MSG_DONTWAIT) >= 0)
                    way->denied_delivered++;
        }
    }
    return NULL;
}

static int udp_socket(struct sockaddr_in local, const struct sockaddr_in *peer)
{
    int room = 64 << 20, on = 1, fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, peer ? SO_SNDBUFFORCE : SO_RCVBUFFORCE, &room, sizeof room))
        die("UDP socket");
    if (!peer && setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on))
        die("SO_TIMESTAMPNS");
    if (bind(fd, (struct sockaddr *)&local, sizeof local))
        die("bind");
    if (peer && connect(fd, (struct sockaddr *)peer, sizeof *peer))
        die("connect");
    return fd;
}

static void open_way(struct way *way, const char *client, const char *server)
{
    struct sockaddr_in allowed = address(server, ALLOWED_PORT), denied = address(server, DENIED_PORT);
    enter(namespaces[1]);
    way->allowed_in = udp_socket(allowed, NULL);
    way->denied_in = udp_socket(denied, NULL);
    enter(namespaces[0]);
    way->allowed_out = udp_socket(address(client, 0), &allowed);
    way->denied_out = udp_socket(address(client, 0), &denied);
}

struct load {
    double share, rate, due; /* due: denied frames that have not been sent yet */
    uint32_t sequence;
};

static void send_frame(struct way *way, struct load *load)
{
    uint8_t frame[MAX_PAYLOAD];
    struct stamp stamp = { wall_clock_ns(), load->sequence, MAGIC };
    memcpy(frame, &stamp, sizeof stamp);
    memcpy(frame + sizeof stamp, pattern(stamp.sequence), payload - sizeof stamp);
    load->due += load->share;
    bool denied = load->due >= 1 - 1e-9;
    if (send(denied ? way->denied_out : way->allowed_out, frame, payload, 0) < 0)
        die("send");
    if (denied) {
        load->due -= 1;
        way->sent_denied++;
    } else {
        load->sequence++;
        way->sent++;
    }
}

static void send_paced(struct way *way, struct load *load, int64_t stop)
{
    int64_t next = now_ns(), step = SECOND / load->rate;
    for (int64_t now = next; now < stop && load->sequence < MAX_SEQUENCE; now = now_ns()) {
        if (now < next) {
            sleep_until_ns(next < stop ? next : stop);
            continue;
        }
        if (now - next > MAX_CATCH_UP * step) /* held up: go on at the rate instead of making a burst of it */
            next = now - MAX_CATCH_UP * step;
        next += step;
        send_frame(way, load);
    }
}

/* What two turns, one each way, have cost, and how many frames they were for. */
struct pair {
    struct spent spent[2];
    uint64_t frames[2];
};

static double difference(const struct pair *pair)
{
    return system_s(&pair->spent[0]) / pair->frames[0] - system_s(&pair->spent[1]) / pair->frames[1];
}

static int by_difference(const void *a, const void *b)
{
    double x = difference(a), y = difference(b);
    return (x > y) - (x < y);
}

/*
 * Two ways in turns: one, two, two, one, and so on, so that what changes slowly does so for both. Only the middle half of the
 * pairs is accounted for, by the difference: at the ends are those in which the machine was busy with something else during one
 * of the turns. What a way itself does in few of its turns goes with them.
 */
static void send_in_turns(struct udp *udp, struct load *load, int64_t length)
{
    int pairs = length / SLICE / 2;
    if (pairs == 0)
        usage("SECONDS: too few for turns");
    struct pair *all = calloc(pairs, sizeof *all);
    struct spent from = spent_now();
    for (int turn = 0; turn < 2 * pairs; turn++) {
        int which = (turn + 1) / 2 % 2;
        struct way *way = &udp->ways[which];
        struct pair *pair = &all[turn / 2];
        uint64_t before = way->sent + way->sent_denied, missing = way->sent - way->delivered;
        int64_t begun = now_ns();
        send_paced(way, load, from.time + SLICE - REST);
        way->sending += now_ns() - begun;
        pair->frames[which] = way->sent + way->sent_denied - before;
        do
            usleep(500);
        while (now_ns() < from.time + SLICE || (way->delivered + missing < way->sent && now_ns() < from.time + SLICE + PATIENCE));
        struct spent to = spent_now();
        add_spent(&pair->spent[which], &from, &to);
        from = to;
    }
    qsort(all, pairs, sizeof *all, by_difference);
    for (struct pair *pair = all + pairs / 4; pair < all + pairs - pairs / 4; pair++)
        for (int i = 0; i < 2; i++) {
            static const struct spent nothing;
            add_spent(&udp->ways[i].spent, &nothing, &pair->spent[i]);
            udp->ways[i].accounted += pair->frames[i];
        }
    free(all);
}

static void send_fast(struct way *way, struct load *load, int64_t stop)
{
    uint64_t lost = 0, delivered = 0;
    int64_t since = 0;
    for (int64_t now = now_ns(); now < stop && load->sequence < MAX_SEQUENCE; now = now_ns()) {
        if (way->sent - lost - way->delivered < WINDOW) {
            send_frame(way, load);
            continue;
        }
        if (delivered != way->delivered || !since) {
            delivered = way->delivered;
            since = now;
        } else if (now - since > 300 * MILLISECOND) { /* nothing comes any more: these are lost */
            lost = way->sent - delivered;
            since = 0;
        }
        usleep(200);
    }
}

/* Until all have arrived, or none comes any more; and a moment longer, in which denied ones may arrive. */
static void await(struct udp *udp, int64_t ended)
{
    int64_t since = ended;
    for (int i = 0; i < udp->way_count; i++)
        for (struct way *way = &udp->ways[i]; way->delivered < way->sent && now_ns() - since < 500 * MILLISECOND; usleep(1000))
            if (udp->last > since)
                since = udp->last;
    usleep(50000);
}

static void report_frames(const struct way *way, double seconds)
{
    uint64_t bytes = way->delivered * (payload + HEADERS);
    fprintf(out, "\"sent\": %llu, \"sent_denied\": %llu, \"delivered\": %llu, \"denied_delivered\": %llu, \"bytes\": %llu, "
            "\"pps\": %.1f, \"mbit\": %.3f", (unsigned long long)(way->sent + way->sent_denied), (unsigned long long)way->sent_denied,
            (unsigned long long)way->delivered, (unsigned long long)way->denied_delivered, (unsigned long long)bytes,
            way->delivered / seconds, bytes * 8 / 1e6 / seconds);
}

/*
 * One of two ways. Its seconds are those in which it was sent to, so that frames by seconds are the rate; and it is reported what
 * all its frames would have cost at the price of those accounted for.
 */
static void report_way(const struct way *way)
{
    double seconds = way->sending / 1e9, share = (double)(way->sent + way->sent_denied) / way->accounted;
    struct spent spent = way->spent;
    spent.time *= share;
    spent.idle *= share;
    spent.own *= share;
    for (int i = 0; i < label_count; i++)
        spent.watched[i] *= share;
    fprintf(out, "\"seconds\": %.4f, ", seconds);
    spent.softirq = NAN; /* it is counted in hundredths of a second, which says nothing of turns */
    report_spent(&spent);
    fprintf(out, ", ");
    report_frames(way, seconds);
}

static int run_udp(int argc, char **argv)
{
    if (argc != 8)
        usage("udp CLIENT SERVER CLIENT_IP SERVER_IP FRAME_BYTES DENIED_SHARE RATE SECONDS");
    payload = (size_t)number(argv[4], HEADERS + sizeof(struct stamp), HEADERS + MAX_PAYLOAD, "bad FRAME_BYTES") - HEADERS;
    struct load load = { .share = number(argv[5], 0, 1, "bad DENIED_SHARE"), .rate = number(argv[6], 0, 1e7, "bad RATE") };
    int64_t length = number(argv[7], 0.01, 3600, "bad SECONDS") * SECOND;
    if (load.rate == 0 && load.share == 1)
        usage("without a RATE some frames must come back to know how fast they may go");
    if (load.rate == 0 && beside)
        usage("--beside takes a RATE");
    make_noise();
    seen = calloc(1, MAX_SEQUENCE / 8);

    static struct udp udp;
    udp.paced = load.rate > 0;
    udp.way_count = beside ? 2 : 1;
    open_way(&udp.ways[0], argv[2], argv[3]);
    if (beside) {
        char *comma = strchr(beside, ',');
        if (!comma)
            usage("--beside CLIENT_IP,SERVER_IP");
        *comma = 0;
        open_way(&udp.ways[1], beside, comma + 1);
    }

    struct snapshot from = begin();
    pthread_t receiver;
    if (pthread_create(&receiver, NULL, receive, &udp))
        fail("no thread");
    int64_t start = now_ns();
    if (beside)
        send_in_turns(&udp, &load, length);
    else if (udp.paced)
        send_paced(&udp.ways[0], &load, start + length);
    else
        send_fast(&udp.ways[0], &load, start + length);
    int64_t ended = now_ns();
    await(&udp, ended);
    udp.stopping = true;
    pthread_join(receiver, NULL);
    struct snapshot to = end();

    if (beside) {
        fprintf(out, "{");
        report_way(&udp.ways[0]);
        report_counters(&from, &to);
        fprintf(out, ", \"beside\": {");
        report_way(&udp.ways[1]);
        fprintf(out, "}");
    } else {
        report(&from, &to);
        fprintf(out, ", ");
        report_frames(&udp.ways[0], ((udp.last > ended ? udp.last : ended) - start) / 1e9);
        fprintf(out, ", \"send_seconds\": %.4f", (ended - start) / 1e9); /* without the wait for what is still under way */
    }
    fprintf(out, ", \"duplicates\": %llu, \"damaged\": %llu", (unsigned long long)udp.duplicates, (unsigned long long)udp.damaged);
    report_latencies();
    fprintf(out, "}\n");
    return 0;
}

/* ---- TCP ---- */

struct tcp {
    int fd, file;
    double mbit;
    int64_t length;
    uint64_t sent;
};

static void *send_stream(void *argument)
{
    struct tcp *tcp = argument;
    int64_t start = now_ns(), stop = start + tcp->length;
    for (int64_t now = start; now < stop; now = now_ns()) {
        size_t most = CHUNK;
        if (tcp->mbit) {
            int64_t due = start + tcp->sent * 8e3 / tcp->mbit;
            if (now < due) {
                sleep_until_ns(due < stop ? due : stop);
                continue;
            }
            most = PACED_WRITE;
        }
        off_t from = tcp->sent % CHUNK;
        ssize_t n = sendfile(tcp->fd, tcp->file, &from, from + most > CHUNK ? (size_t)(CHUNK - from) : most);
        if (n < 0)
            die("sendfile");
        tcp->sent += n;
    }
    shutdown(tcp->fd, SHUT_WR);
    return NULL;
}

static int run_tcp(int argc, char **argv)
{
    if (argc != 5)
        usage("tcp CLIENT SERVER SERVER_IP MBIT SECONDS");
    struct tcp tcp = { .mbit = number(argv[3], 0, 1e6, "bad MBIT"), .length = number(argv[4], 0.01, 3600, "bad SECONDS") * SECOND };
    static uint32_t words[CHUNK / sizeof(uint32_t)];
    for (size_t i = 1; i < CHUNK / sizeof *words; i++)
        words[i] = words[i - 1] * 1664525 + 1013904223;
    tcp.file = memfd_create("noise", 0);
    if (tcp.file < 0 || write(tcp.file, words, CHUNK) != CHUNK)
        die("memfd");

    enter(namespaces[1]);
    struct sockaddr_in at = address(argv[2], 0);
    socklen_t size = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 1) ||
        getsockname(listener, (struct sockaddr *)&at, &size))
        die("listen");
    enter(namespaces[0]);
    tcp.fd = socket(AF_INET, SOCK_STREAM, 0);
    /* BBR, some hosts' default, paces what it sends by an estimate of its own: it would be that which is measured. */
    static const char congestion_control[] = "cubic";
    if (tcp.fd < 0 || setsockopt(tcp.fd, IPPROTO_TCP, TCP_CONGESTION, congestion_control, sizeof congestion_control - 1))
        die("TCP with congestion control cubic (modprobe tcp_cubic)");
    struct timeval patience = { 10, 0 };
    setsockopt(tcp.fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);

    struct snapshot from = begin();
    if (connect(tcp.fd, (struct sockaddr *)&at, sizeof at))
        die("connect");
    int fd = accept(listener, NULL, NULL);
    if (fd < 0)
        die("accept");
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    int64_t start = now_ns();
    pthread_t sender;
    if (pthread_create(&sender, NULL, send_stream, &tcp))
        fail("no thread");
    static uint8_t buffer[1 << 18];
    uint64_t received = 0;
    ssize_t n;
    while ((n = recv(fd, buffer, sizeof buffer, received < COMPARED ? 0 : MSG_TRUNC)) > 0) {
        if (received < COMPARED) {
            size_t at_byte = received % CHUNK, first = at_byte + n > CHUNK ? CHUNK - at_byte : (size_t)n;
            if (memcmp(buffer, (uint8_t *)words + at_byte, first) || memcmp(buffer + first, words, n - first))
                fail("TCP: other bytes arrived than were sent");
        }
        received += n;
    }
    if (n < 0)
        die("TCP: recv");
    int64_t busy = now_ns() - start;
    pthread_join(sender, NULL);
    struct snapshot to = end();
    if (received != tcp.sent)
        fail("TCP: not all bytes arrived");
    report(&from, &to);
    fprintf(out, ", \"bytes\": %llu, \"mbit\": %.3f, \"latency_us\": null}\n", (unsigned long long)received, received * 8e3 / busy);
    return 0;
}

/* ---- ping ---- */

struct echo {
    struct icmphdr header;
    int64_t time;
    uint8_t rest[48];
};

static uint16_t checksum(const void *data, size_t length)
{
    uint32_t total = 0;
    const uint16_t *words = data;
    for (size_t i = 0; i < length / 2; i++)
        total += words[i];
    while (total >> 16)
        total = (total & 0xffff) + (total >> 16);
    return ~total;
}

static int run_ping(int argc, char **argv)
{
    if (argc != 5)
        usage("ping CLIENT SERVER SERVER_IP RATE SECONDS");
    struct sockaddr_in to = address(argv[2], 0);
    int64_t step = SECOND / number(argv[3], 0.1, 1e6, "bad RATE");
    int64_t length = number(argv[4], 0.01, 3600, "bad SECONDS") * SECOND;
    enter(namespaces[0]);
    int room = 1 << 20, fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room))
        die("ICMP socket");
    uint16_t id = htons(getpid());
    uint64_t sent = 0, delivered = 0;
    struct snapshot from = begin();
    int64_t start = now_ns(), stop = start + length, next = start, last = start;
    for (;;) {
        int64_t now = now_ns();
        if (now < stop && now >= next) {
            struct echo request = { .header = { .type = ICMP_ECHO, .un.echo = { .id = id, .sequence = htons(sent) } }, .time = now };
            request.header.checksum = checksum(&request, sizeof request);
            if (sendto(fd, &request, sizeof request, 0, (struct sockaddr *)&to, sizeof to) < 0)
                die("sendto");
            sent++;
            next += step;
            last = now;
            continue;
        }
        if (now >= stop && (delivered >= sent || now - last > SECOND))
            break;
        struct pollfd ready = { .fd = fd, .events = POLLIN };
        int64_t wait = now < stop ? next - now : 100 * MILLISECOND;
        struct timespec most = { wait / SECOND, wait % SECOND };
        if (ppoll(&ready, 1, &most, NULL) <= 0)
            continue;
        union { struct iphdr ip; uint8_t bytes[256]; } packet;
        ssize_t n;
        while ((n = recv(fd, &packet, sizeof packet, MSG_DONTWAIT)) > 0) {
            struct echo *answer = (struct echo *)(packet.bytes + packet.ip.ihl * 4);
            if (packet.bytes + n < (uint8_t *)(answer + 1) || answer->header.type != ICMP_ECHOREPLY || answer->header.un.echo.id != id)
                continue;
            last = now_ns();
            note_latency(last - answer->time);
            delivered++;
        }
    }
    struct snapshot to_snapshot = end();
    report(&from, &to_snapshot);
    fprintf(out, ", \"sent\": %llu, \"delivered\": %llu", (unsigned long long)sent, (unsigned long long)delivered);
    report_latencies();
    fprintf(out, "}\n");
    return 0;
}

/* ---- another client ---- */

static int run_command(int argc, char **argv)
{
    if (argc < 3)
        usage("run CLIENT SERVER COMMAND ARGUMENT...");
    struct snapshot from = begin();
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        enter(namespaces[0]);
        execvp(argv[2], argv + 2);
        die(argv[2]);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child)
        die("fork");
    struct snapshot to = end();
    if (!WIFEXITED(status) || WEXITSTATUS(status))
        fail("the command failed");
    report(&from, &to);
    fprintf(out, "}\n");
    return 0;
}

/* ---- offloads ---- */

static int run_offloads(int argc, char **argv)
{
    if (argc < 3)
        usage("offloads NAMESPACE on|off INTERFACE...");
    enter(argv[0]);
    bool on = !strcmp(argv[1], "on");
    /* Segmentation needs checksums: on in this order, off in the other. */
    static const uint32_t commands[] = { ETHTOOL_SRXCSUM, ETHTOOL_STXCSUM, ETHTOOL_SGSO, ETHTOOL_STSO };
    enum { COUNT = sizeof commands / sizeof *commands };
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    for (int i = 2; i < argc; i++)
        for (int j = 0; j < COUNT; j++) {
            struct ethtool_value value = { .cmd = commands[on ? j : COUNT - 1 - j], .data = on };
            struct ifreq request = { .ifr_data = (void *)&value };
            snprintf(request.ifr_name, IFNAMSIZ, "%s", argv[i]);
            if (ioctl(fd, SIOCETHTOOL, &request) && errno != EOPNOTSUPP)
                die(argv[i]);
        }
    return 0;
}

static void watch(char *text)
{
    char *equals = strchr(text, '=');
    if (!equals)
        usage("--watch LABEL=PID,...");
    if (label_count == MAX_LABELS)
        usage("too many labels");
    *equals = 0;
    struct label *label = &labels[label_count++];
    snprintf(label->name, sizeof label->name, "%s", text);
    for (char *pid = strtok(equals + 1, ","); pid; pid = strtok(NULL, ",")) {
        if (label->count == MAX_WATCHED)
            usage("too many processes");
        label->pids[label->count++] = number(pid, 1, 1e9, "bad PID");
    }
}

int main(int argc, char **argv)
{
    int i = 1;
    out = stdout;
    for (; i + 1 < argc && !strncmp(argv[i], "--", 2); i += 2) {
        if (!strcmp(argv[i], "--json")) {
            if (!(out = fopen(argv[i + 1], "we")))
                die(argv[i + 1]);
        } else if (!strcmp(argv[i], "--watch")) {
            watch(argv[i + 1]);
        } else if (!strcmp(argv[i], "--stats")) {
            stats_socket = argv[i + 1];
        } else if (!strcmp(argv[i], "--beside")) {
            beside = argv[i + 1];
        } else {
            usage(argv[i]);
        }
    }
    const char *mode = i < argc ? argv[i] : "";
    argc -= i + 1;
    argv += i + 1;
    if (!strcmp(mode, "offloads"))
        return run_offloads(argc, argv);
    if (!strcmp(mode, "stats") && argc == 1) {
        stats_socket = argv[0];
        puts(back_end());
        return 0;
    }
    if (argc < 2)
        usage("udp, tcp, ping, run, offloads or stats");
    namespaces[0] = argv[0];
    namespaces[1] = argv[1];
    latencies = malloc(MAX_LATENCIES * sizeof *latencies);
    prctl(PR_SET_TIMERSLACK, 1);
    if (!strcmp(mode, "udp"))
        return run_udp(argc, argv);
    if (!strcmp(mode, "tcp"))
        return run_tcp(argc, argv);
    if (!strcmp(mode, "ping"))
        return run_ping(argc, argv);
    if (!strcmp(mode, "run"))
        return run_command(argc, argv);
    usage("udp, tcp, ping, run, offloads or stats");
}
