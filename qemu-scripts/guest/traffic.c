/*
 * traffic: sends and counts frames exactly, and measures TCP, inside a test guest.
 *
 *   traffic send IFACE DST_MAC SRC_IP DST_IP RATE LENGTH KIND=COUNT...
 *       Sends COUNT frames of each KIND, evenly mixed, RATE frames a second, LENGTH bytes each (without FCS).
 *       KIND: udp/PORT, tcp/PORT (a SYN), icmp, ether/0xTYPE; udp, tcp and icmp may end in @SRC_IP, another source address.
 *       Prints a line "INDEX KIND SENT" for each KIND, in the order of the arguments (first INDEX 0).
 *   traffic count IFACE [UDP_PORT...]
 *       Counts such frames until SIGTERM, and then until none came for half a second.
 *       Prints "INDEX UNIQUE DUPLICATES" for each index seen and "missed N", frames this socket had no room for.
 *       The UDP_PORTs are bound, so that the kernel does not answer "port unreachable".
 *   traffic tcp-sink PORT
 *       Accepts connections one after another, and answers each at its end with "BYTES MICROSECONDS".
 *   traffic tcp-send IP PORT MEGABYTES
 *       Sends so much and prints "MBIT BYTES MICROSECONDS" as the sink measured it.
 *   traffic outage SRC_IP DST_IP MILLISECONDS
 *       Pings that often until SIGTERM, then prints "ANSWERS MICROSECONDS": how many answers came, and the longest time
 *       without one. Runs before all else in the guest, so that it measures the way and not the guest.
 *   traffic channels IFACE [COUNT]
 *       Sets the number of queue pairs (ethtool -L IFACE combined COUNT); prints "COUNT MOST".
 *
 * Frames leave through AF_PACKET: one send is one frame, whatever the neighbour table or the routes say.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

enum { MAX_KINDS = 16, MAX_SEQUENCE = 1 << 20, MAX_FRAME = 1514, MAX_CATCH_UP = 8 };

static const char MAGIC[8] = "MYPERVSR";

/* What a counted frame carries behind its headers. */
struct mark {
    char magic[8];
    uint32_t kind;
    uint32_t sequence;
} __attribute__((packed));

struct kind {
    const char *name;
    uint32_t count, sent;
    size_t mark_at;
    uint8_t frame[MAX_FRAME];
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "traffic: %s: %s\n", what, strerror(errno));
    exit(1);
}

static _Noreturn void usage(const char *what)
{
    fprintf(stderr, "traffic: %s (see the top of traffic.c)\n", what);
    exit(2);
}

static long number(const char *text, long low, long high, const char *what)
{
    char *end;
    long value = strtol(text, &end, 0);
    if (end == text || *end || value < low || value > high)
        usage(what);
    return value;
}

static uint32_t address(const char *text)
{
    struct in_addr in;
    if (!inet_aton(text, &in))
        usage("not an IPv4 address");
    return in.s_addr;
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void sleep_until_ns(int64_t when)
{
    struct timespec t = { when / 1000000000LL, when % 1000000000LL };
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static void put16(uint8_t *at, unsigned value)
{
    at[0] = value >> 8;
    at[1] = value;
}

/* RFC 1071, over bytes in network order. */
static uint32_t sum(const uint8_t *at, size_t length, uint32_t so_far)
{
    for (size_t i = 0; i < length; i++)
        so_far += i & 1 ? at[i] : at[i] << 8;
    return so_far;
}

static uint16_t fold(uint32_t value)
{
    while (value >> 16)
        value = (value & 0xffff) + (value >> 16);
    return ~value;
}

/* ---- send ---- */

static int packet_socket(const char *interface, int protocol)
{
    int fd = socket(AF_PACKET, SOCK_RAW, htons(protocol));
    if (fd < 0)
        die("AF_PACKET socket");
    struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_protocol = htons(protocol),
                              .sll_ifindex = if_nametoindex(interface) };
    if (!to.sll_ifindex || bind(fd, (struct sockaddr *)&to, sizeof to))
        die(interface);
    return fd;
}

static size_t l4_header(const char *protocol)
{
    return !strcmp(protocol, "tcp") ? 20 : 8;
}

/* Everything but mark and checksum of L4, which change from frame to frame. */
static void build(struct kind *kind, const uint8_t *macs, uint32_t source, uint32_t destination, size_t length)
{
    char protocol[8], *text = strdup(kind->name);
    char *at_source = strchr(text, '@');
    if (at_source) {
        *at_source = 0;
        source = address(at_source + 1);
    }
    char *slash = strchr(text, '/');
    if (slash)
        *slash = 0;
    snprintf(protocol, sizeof protocol, "%s", text);
    long argument = slash ? number(slash + 1, 0, 0xffff, "not a port or type") : 0;
    free(text);

    uint8_t *frame = kind->frame, *ip = frame + 14, *l4 = ip + 20;
    memset(frame, 0, MAX_FRAME);
    memcpy(frame, macs, 12);
    if (!strcmp(protocol, "ether")) {
        put16(frame + 12, argument);
        kind->mark_at = 14;
        return;
    }
    put16(frame + 12, ETH_P_IP);
    ip[0] = 0x45;
    put16(ip + 2, length - 14);
    put16(ip + 6, 0x4000); /* do not fragment */
    ip[8] = 64;
    memcpy(ip + 12, &source, 4);
    memcpy(ip + 16, &destination, 4);
    put16(l4, 40000);
    put16(l4 + 2, argument);
    if (!strcmp(protocol, "udp")) {
        ip[9] = IPPROTO_UDP;
        put16(l4 + 4, length - 34);
    } else if (!strcmp(protocol, "tcp")) {
        ip[9] = IPPROTO_TCP;
        l4[12] = 5 << 4;
        l4[13] = 2; /* SYN */
        put16(l4 + 14, 1024);
    } else if (!strcmp(protocol, "icmp")) {
        ip[9] = IPPROTO_ICMP;
        l4[0] = 8; /* echo request */
        l4[1] = 0;
    } else {
        usage("KIND is udp/PORT, tcp/PORT, icmp or ether/0xTYPE");
    }
    put16(ip + 10, fold(sum(ip, 20, 0)));
    kind->mark_at = 34 + l4_header(protocol);
}

static void finish(struct kind *kind, uint32_t index, size_t length)
{
    struct mark mark = { .kind = htonl(index), .sequence = htonl(kind->sent) };
    memcpy(mark.magic, MAGIC, sizeof mark.magic);
    memcpy(kind->frame + kind->mark_at, &mark, sizeof mark);
    uint8_t *ip = kind->frame + 14, *l4 = ip + 20;
    if (kind->mark_at == 14)
        return;
    size_t at = ip[9] == IPPROTO_UDP ? 6 : ip[9] == IPPROTO_TCP ? 16 : 2;
    uint32_t pseudo = ip[9] == IPPROTO_ICMP ? 0 : sum(ip + 12, 8, ip[9] + (uint32_t)length - 34);
    put16(l4 + at, 0);
    uint16_t checksum = fold(sum(l4, length - 34, pseudo));
    put16(l4 + at, checksum ? checksum : 0xffff);
}

static void send_frame(int fd, const uint8_t *frame, size_t length)
{
    /* A full transmit queue is no loss: the frame was not taken, so offer it again. */
    while (send(fd, frame, length, 0) < 0) {
        if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
            die("send");
        usleep(1000);
    }
}

static int run_send(int argc, char **argv)
{
    if (argc < 7 || argc - 6 > MAX_KINDS)
        usage("send IFACE DST_MAC SRC_IP DST_IP RATE LENGTH KIND=COUNT...");
    int kinds = argc - 6;
    long rate = number(argv[4], 1, 1000000, "bad RATE");
    size_t length = number(argv[5], 80, MAX_FRAME, "LENGTH is 80 to 1514");
    uint8_t macs[12];
    struct ether_addr *to = ether_aton(argv[1]);
    if (!to)
        usage("bad DST_MAC");
    memcpy(macs, to, 6);
    int fd = packet_socket(argv[0], 0);
    struct ifreq request = { 0 };
    snprintf(request.ifr_name, IFNAMSIZ, "%s", argv[0]);
    if (ioctl(fd, SIOCGIFHWADDR, &request))
        die(argv[0]);
    memcpy(macs + 6, request.ifr_hwaddr.sa_data, 6);

    static struct kind all[MAX_KINDS];
    uint64_t total = 0;
    for (int i = 0; i < kinds; i++) {
        char *equals = strchr(argv[6 + i], '=');
        if (!equals)
            usage("KIND=COUNT");
        *equals = 0;
        all[i].name = argv[6 + i];
        all[i].count = number(equals + 1, 0, MAX_SEQUENCE, "bad COUNT");
        build(&all[i], macs, address(argv[2]), address(argv[3]), length);
        total += all[i].count;
    }

    int64_t step = 1000000000LL / rate, next = now_ns();
    for (uint64_t n = 1; n <= total; n++) {
        /* The kind that is furthest behind its share: an even mix. */
        int pick = -1;
        int64_t behind = 0;
        for (int i = 0; i < kinds; i++) {
            int64_t lag = (int64_t)all[i].count * n - (int64_t)all[i].sent * total;
            if (all[i].sent < all[i].count && (pick < 0 || lag > behind)) {
                pick = i;
                behind = lag;
            }
        }
        finish(&all[pick], pick, length);
        send_frame(fd, all[pick].frame, length);
        all[pick].sent++;
        next += step;
        int64_t now = now_ns();
        if (next > now)
            sleep_until_ns(next);
        else if (now - next > MAX_CATCH_UP * step) /* held up: go on at RATE instead of making a burst of it */
            next = now - MAX_CATCH_UP * step;
    }
    for (int i = 0; i < kinds; i++)
        printf("%d %s %u\n", i, all[i].name, all[i].sent);
    return 0;
}

/* ---- count ---- */

static volatile sig_atomic_t stopping;

static void stop(int signal)
{
    (void)signal;
    stopping = 1;
}

static int run_count(int argc, char **argv)
{
    if (argc < 1)
        usage("count IFACE [UDP_PORT...]");
    static uint8_t seen[MAX_KINDS][MAX_SEQUENCE / 8];
    uint32_t unique[MAX_KINDS] = { 0 }, duplicates[MAX_KINDS] = { 0 };
    struct sigaction action = { .sa_handler = stop };
    sigaction(SIGTERM, &action, NULL);

    int fd = packet_socket(argv[0], ETH_P_ALL), on = 1, room = 32 << 20;
    if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on))
        die("PACKET_IGNORE_OUTGOING");
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room))
        die("SO_RCVBUFFORCE");
    for (int i = 1; i < argc; i++) {
        struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(number(argv[i], 1, 65535, "bad port")) };
        if (bind(socket(AF_INET, SOCK_DGRAM, 0), (struct sockaddr *)&at, sizeof at))
            die("bind");
    }
    printf("counting\n");
    fflush(stdout);

    int64_t last = 0;
    for (;;) {
        struct pollfd ready = { .fd = fd, .events = POLLIN };
        poll(&ready, 1, 100);
        uint8_t frame[256];
        ssize_t length = recv(fd, frame, sizeof frame, MSG_DONTWAIT);
        if (length < 0) {
            if (stopping && !last)
                last = now_ns();
            if (stopping && now_ns() - last > 500000000LL)
                break;
            continue;
        }
        struct mark *mark = memmem(frame, length, MAGIC, sizeof MAGIC);
        if (!mark || (uint8_t *)(mark + 1) > frame + length)
            continue;
        last = now_ns();
        uint32_t kind = ntohl(mark->kind), sequence = ntohl(mark->sequence);
        if (kind >= MAX_KINDS || sequence >= MAX_SEQUENCE)
            continue;
        uint8_t bit = 1 << sequence % 8;
        if (seen[kind][sequence / 8] & bit)
            duplicates[kind]++;
        else
            unique[kind]++;
        seen[kind][sequence / 8] |= bit;
    }
    struct tpacket_stats stats;
    socklen_t size = sizeof stats;
    if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size))
        die("PACKET_STATISTICS");
    for (int i = 0; i < MAX_KINDS; i++)
        if (unique[i])
            printf("%d %u %u\n", i, unique[i], duplicates[i]);
    printf("missed %u\n", stats.tp_drops);
    return 0;
}

/* ---- TCP ---- */

static int run_tcp_sink(int argc, char **argv)
{
    if (argc != 1)
        usage("tcp-sink PORT");
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(number(argv[0], 1, 65535, "bad port")) };
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 4))
        die("listen");
    for (;;) {
        static char buffer[1 << 18];
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            die("accept");
        int64_t bytes = 0, from = 0, to = 0;
        // Bytes are taken without being copied, and sent alike: a transfer measures the way, not the guest's memcpy.
        for (ssize_t n; (n = recv(fd, buffer, sizeof buffer, MSG_TRUNC)) > 0; bytes += n) {
            to = now_ns();
            if (!from)
                from = to;
        }
        dprintf(fd, "%lld %lld\n", (long long)bytes, (long long)(to - from) / 1000);
        close(fd);
    }
}

static int run_tcp_send(int argc, char **argv)
{
    enum { CHUNK = 1 << 20 };
    if (argc != 3)
        usage("tcp-send IP PORT MEGABYTES");
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = address(argv[0]),
                              .sin_port = htons(number(argv[1], 1, 65535, "bad port")) };
    if (connect(fd, (struct sockaddr *)&to, sizeof to))
        die("connect");
    int64_t left = number(argv[2], 1, 1000000, "bad MEGABYTES") * 1000000LL;
    static uint32_t noise[CHUNK / sizeof(uint32_t)];
    for (size_t i = 1; i < CHUNK / sizeof *noise; i++)
        noise[i] = noise[i - 1] * 1664525 + 1013904223;
    int file = memfd_create("noise", 0);
    if (file < 0 || write(file, noise, CHUNK) != CHUNK)
        die("memfd");
    while (left > 0) {
        off_t from = 0;
        ssize_t n = sendfile(fd, file, &from, left < CHUNK ? (size_t)left : CHUNK);
        if (n < 0)
            die("sendfile");
        left -= n;
    }
    shutdown(fd, SHUT_WR);
    char answer[64] = "";
    if (read(fd, answer, sizeof answer - 1) <= 0)
        die("no answer from the sink");
    long long bytes, microseconds;
    if (sscanf(answer, "%lld %lld", &bytes, &microseconds) != 2 || microseconds <= 0)
        usage("the sink measured nothing");
    printf("%.2f %lld %lld\n", bytes * 8.0 / microseconds, bytes, microseconds);
    return 0;
}

/* ---- outage ---- */

static int run_outage(int argc, char **argv)
{
    if (argc != 3)
        usage("outage SRC_IP DST_IP MILLISECONDS");
    struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = address(argv[0]) };
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = address(argv[1]) };
    int64_t step = number(argv[2], 1, 10000, "bad MILLISECONDS") * 1000000LL;
    struct sched_param first = { .sched_priority = 1 };
    if (sched_setscheduler(0, SCHED_FIFO, &first))
        die("SCHED_FIFO");
    struct sigaction action = { .sa_handler = stop };
    sigaction(SIGTERM, &action, NULL);
    int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
    if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof from))
        die("ICMP socket");

    uint16_t id = htons(getpid());
    long answers = 0;
    int64_t last = now_ns(), longest = 0, next = last;
    while (!stopping) {
        int64_t now = now_ns();
        if (now >= next) {
            struct icmphdr request = { .type = ICMP_ECHO, .un.echo.id = id };
            request.checksum = htons(fold(sum((uint8_t *)&request, sizeof request, 0)));
            /* While the way is cut this may fail: then there is no answer either. */
            sendto(fd, &request, sizeof request, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof to);
            next = now + step;
        }
        struct pollfd ready = { .fd = fd, .events = POLLIN };
        poll(&ready, 1, (next - now) / 1000000 + 1);
        uint8_t packet[256];
        ssize_t length;
        while ((length = recv(fd, packet, sizeof packet, MSG_DONTWAIT)) > 0) {
            struct icmphdr *answer = (struct icmphdr *)(packet + (packet[0] & 15) * 4);
            if ((uint8_t *)(answer + 1) > packet + length || answer->type != ICMP_ECHOREPLY || answer->un.echo.id != id)
                continue;
            now = now_ns();
            answers++;
            if (now - last > longest)
                longest = now - last;
            last = now;
        }
    }
    if (now_ns() - last > longest) /* none came any more */
        longest = now_ns() - last;
    printf("%ld %lld\n", answers, (long long)longest / 1000);
    return 0;
}

/* ---- channels ---- */

static int run_channels(int argc, char **argv)
{
    if (argc != 1 && argc != 2)
        usage("channels IFACE [COUNT]");
    struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };
    struct ifreq request = { .ifr_data = (void *)&channels };
    snprintf(request.ifr_name, IFNAMSIZ, "%s", argv[0]);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (ioctl(fd, SIOCETHTOOL, &request))
        die("ETHTOOL_GCHANNELS");
    if (argc == 2) {
        channels.cmd = ETHTOOL_SCHANNELS;
        channels.combined_count = number(argv[1], 1, 65535, "bad COUNT");
        if (ioctl(fd, SIOCETHTOOL, &request))
            die("ETHTOOL_SCHANNELS");
        channels.cmd = ETHTOOL_GCHANNELS;
        if (ioctl(fd, SIOCETHTOOL, &request))
            die("ETHTOOL_GCHANNELS");
    }
    printf("%u %u\n", channels.combined_count, channels.max_combined);
    return 0;
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";
    if (!strcmp(command, "send"))
        return run_send(argc - 2, argv + 2);
    if (!strcmp(command, "count"))
        return run_count(argc - 2, argv + 2);
    if (!strcmp(command, "tcp-sink"))
        return run_tcp_sink(argc - 2, argv + 2);
    if (!strcmp(command, "tcp-send"))
        return run_tcp_send(argc - 2, argv + 2);
    if (!strcmp(command, "outage"))
        return run_outage(argc - 2, argv + 2);
    if (!strcmp(command, "channels"))
        return run_channels(argc - 2, argv + 2);
    usage("send, count, tcp-sink, tcp-send, outage or channels");
}
