/*
 * net: sends and receives what must arrive as it was sent, in a network namespace.
 *
 *   net tcp-recv PORT                    takes connections; answers each at its end with "BYTES HASH"
 *   net tcp-send IP PORT BYTES           sends random bytes, prints "BYTES HASH" of them; status 1 if other ones arrived
 *   net udp-recv PORT [WANTED]           until SIGTERM, and then until none comes for a while, a longer one while there
 *                                        are fewer than WANTED; prints "ready" when it begins and "GOOD BAD MISORDERED
 *                                        FLOWS" in the end
 *   net udp-send IP PORT FLOWS COUNT LENGTH PAUSE_US
 *                                        COUNT datagrams from each of FLOWS sockets in turn, a pause after each turn
 *   net frames OUT IN                    for each line "1 HEADER FRAME" on standard input (hexadecimal; HEADER is the
 *                                        virtio-net header) sends the frame on interface OUT and prints the next one that
 *                                        arrives on IN as "HEADER FRAME", a tag that the kernel took out put back, and "."
 *                                        With "*" for "1" prints all that arrive until none does for a while.
 *   net frames-send OUT                  sends the frame of each line "HEADER FRAME" on interface OUT
 *   net frames-recv IN COUNT             prints "ready", COUNT frames that arrive on interface IN, as above, those that come
 *                                        right behind them, and "."; fewer if the next one does not come
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

enum { CHUNK = 1 << 16, MAX_FLOWS = 4096, HEADER = 10, MAX_FRAME = 70000 };

/* For the first frame, and for the silence behind the last one. */
enum { FIRST_MS = 1000, SILENCE_MS = 20 };

/* For a frame that must come, even from a process that is yet to be started. */
enum { NEXT_MS = 20000 };

/* For datagrams that are under way, perhaps through an emulated guest; and for those that must come, even if a CPU of a
 * virtual machine stands still for a while. */
enum { LINGER_MS = 250, WANTED_MS = 5000, END_SECONDS = 10 };

static volatile sig_atomic_t stopped;
static void stop(int signal) { (void)signal; stopped = 1; }

static void die(const char *what) {
    perror(what);
    exit(2);
}

static int check(int result, const char *what) {
    if (result < 0) die(what);
    return result;
}

static uint64_t next(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* FNV-1a */
static uint64_t hash(uint64_t h, const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) h = (h ^ bytes[i]) * 0x100000001b3ull;
    return h;
}
static const uint64_t HASH_START = 0xcbf29ce484222325ull;

static struct sockaddr_in address(const char *ip, const char *port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    if (inet_pton(AF_INET, ip, &a.sin_addr) != 1) {
        fprintf(stderr, "%s: no address\n", ip);
        exit(2);
    }
    return a;
}

static int bound(int type, const char *port) {
    int s = check(socket(AF_INET, type, 0), "socket"), one = 1;
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in a = address("0.0.0.0", port);
    check(bind(s, (struct sockaddr *)&a, sizeof a), "bind");
    return s;
}

static _Noreturn void tcp_recv(const char *port) {
    static uint8_t buffer[CHUNK];
    int listening = bound(SOCK_STREAM, port);
    check(listen(listening, 16), "listen");
    for (;;) {
        int s = check(accept(listening, NULL, NULL), "accept");
        uint64_t h = HASH_START, bytes = 0;
        ssize_t n;
        while ((n = read(s, buffer, sizeof buffer)) > 0) {
            h = hash(h, buffer, (size_t)n);
            bytes += (uint64_t)n;
        }
        dprintf(s, "%llu %016llx\n", (unsigned long long)bytes, (unsigned long long)h);
        close(s);
    }
}

static int tcp_send(const char *ip, const char *port, const char *count) {
    static uint64_t buffer[CHUNK / 8];
    uint64_t left = strtoull(count, NULL, 10), h = HASH_START, state;
    check((int)getrandom(&state, sizeof state, 0), "getrandom");
    state |= 1;
    int s = check(socket(AF_INET, SOCK_STREAM, 0), "socket");
    struct sockaddr_in a = address(ip, port);
    check(connect(s, (struct sockaddr *)&a, sizeof a), "connect");
    while (left > 0) {
        for (size_t i = 0; i < CHUNK / 8; i++) buffer[i] = next(&state);
        size_t size = left < CHUNK ? left : CHUNK, done = 0;
        h = hash(h, (uint8_t *)buffer, size);
        while (done < size) done += (size_t)check((int)write(s, (uint8_t *)buffer + done, size - done), "write");
        left -= size;
    }
    shutdown(s, SHUT_WR);
    char mine[64], theirs[64] = "";
    snprintf(mine, sizeof mine, "%s %016llx\n", count, (unsigned long long)h);
    size_t got = 0;
    ssize_t n;
    while (got < sizeof theirs - 1 && (n = read(s, theirs + got, sizeof theirs - 1 - got)) > 0) got += (size_t)n;
    printf("%s", mine);
    if (strcmp(mine, theirs) != 0) {
        printf("arrived: %s\n", theirs);
        return 1;
    }
    return 0;
}

/* What stands at each place of a datagram depends on its flow and number. */
static void fill(uint8_t *datagram, size_t length, uint32_t flow, uint32_t number) {
    uint64_t state = ((uint64_t)flow << 32 | number) * 0x9e3779b97f4a7c15ull | 1;
    memcpy(datagram, &flow, 4);
    memcpy(datagram + 4, &number, 4);
    for (size_t i = 8; i < length; i++) datagram[i] = (uint8_t)next(&state);
}

static int udp_recv(const char *port, uint64_t wanted_count) {
    static uint8_t buffer[CHUNK], wanted[CHUNK];
    static uint32_t expected[MAX_FLOWS];
    int s = bound(SOCK_DGRAM, port), size = 64 << 20;
    if (setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
        setsockopt(s, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGTERM, &action, NULL);
    printf("ready\n");
    fflush(stdout);
    uint64_t good = 0, bad = 0, misordered = 0, flows = 0;
    time_t end = 0;
    for (;;) {
        struct pollfd p = {.fd = s, .events = POLLIN};
        int ending = stopped, linger = good + bad < wanted_count ? WANTED_MS : LINGER_MS;
        int ready = poll(&p, 1, ending ? linger : 100);
        /* The signal that ends us interrupts this: no silence yet. */
        if (ready == 0 && ending) break;
        /* Frames that go in circles never end. */
        if (ending && end == 0) end = time(NULL) + END_SECONDS;
        if (ending && time(NULL) > end) break;
        if (ready <= 0) continue;
        ssize_t n = recv(s, buffer, sizeof buffer, MSG_DONTWAIT);
        if (n < 0) continue;
        uint32_t flow = MAX_FLOWS, number = 0;
        if (n >= 8) {
            memcpy(&flow, buffer, 4);
            memcpy(&number, buffer + 4, 4);
        }
        if (flow < MAX_FLOWS) fill(wanted, (size_t)n, flow, number);
        if (flow >= MAX_FLOWS || memcmp(wanted, buffer, (size_t)n) != 0) {
            bad++;
            continue;
        }
        good++;
        if (expected[flow] == 0) flows++;
        if (number + 1 <= expected[flow]) misordered++;
        else expected[flow] = number + 1;
    }
    printf("%llu %llu %llu %llu\n", (unsigned long long)good, (unsigned long long)bad,
        (unsigned long long)misordered, (unsigned long long)flows);
    return 0;
}

static int udp_send(char **argv) {
    static uint8_t buffer[CHUNK];
    static int sockets[MAX_FLOWS];
    int flows = atoi(argv[2]), count = atoi(argv[3]), length = atoi(argv[4]), pause = atoi(argv[5]);
    struct sockaddr_in a = address(argv[0], argv[1]);
    for (int i = 0; i < flows; i++) {
        sockets[i] = check(socket(AF_INET, SOCK_DGRAM, 0), "socket");
        check(connect(sockets[i], (struct sockaddr *)&a, sizeof a), "connect");
    }
    for (int number = 0; number < count; number++) {
        for (int flow = 0; flow < flows; flow++) {
            fill(buffer, (size_t)length, (uint32_t)flow, (uint32_t)number);
            /* An ICMP error of an earlier one is not about this one. */
            while (send(sockets[flow], buffer, (size_t)length, 0) < 0)
                if (errno != ECONNREFUSED) die("send");
        }
        if (pause > 0) usleep((useconds_t)pause);
    }
    return 0;
}

static int packet_socket(const char *interface) {
    int s = check(socket(AF_PACKET, SOCK_RAW, 0), "packet socket"), one = 1, size = 16 << 20;
    check(setsockopt(s, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof one), "PACKET_VNET_HDR");
    check(setsockopt(s, SOL_PACKET, PACKET_AUXDATA, &one, sizeof one), "PACKET_AUXDATA");
    check(setsockopt(s, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one), "PACKET_IGNORE_OUTGOING");
    setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    struct sockaddr_ll a = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
        .sll_ifindex = (int)if_nametoindex(interface)};
    if (a.sll_ifindex == 0) die(interface);
    check(bind(s, (struct sockaddr *)&a, sizeof a), "bind");
    return s;
}

static int digit(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

static size_t from_hex(const char *text, uint8_t *bytes) {
    size_t count = 0;
    for (; digit(text[2 * count]) >= 0; count++)
        bytes[count] = (uint8_t)(digit(text[2 * count]) << 4 | digit(text[2 * count + 1]));
    return count;
}

static void print_hex(const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        putchar("0123456789abcdef"[bytes[i] >> 4]);
        putchar("0123456789abcdef"[bytes[i] & 15]);
    }
}

static void add_to_le16(uint8_t *field, unsigned value) {
    value += field[0] | (unsigned)field[1] << 8;
    field[0] = (uint8_t)value;
    field[1] = (uint8_t)(value >> 8);
}

/* Receives one frame, with its tag, and prints it. */
static void show(int s) {
    static uint8_t buffer[HEADER + MAX_FRAME];
    uint8_t *frame = buffer + HEADER;
    union { struct cmsghdr align; char bytes[256]; } control;
    struct iovec part = {buffer, sizeof buffer - 4};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(s, &message, 0);
    if (n < HEADER) return;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c)) {
        struct tpacket_auxdata aux;
        if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA) continue;
        memcpy(&aux, CMSG_DATA(c), sizeof aux);
        if ((aux.tp_status & TP_STATUS_VLAN_VALID) == 0) continue;
        uint16_t tag[2] = {htons(aux.tp_status & TP_STATUS_VLAN_TPID_VALID ? aux.tp_vlan_tpid : ETH_P_8021Q),
            htons(aux.tp_vlan_tci)};
        memmove(frame + 16, frame + 12, (size_t)n - HEADER - 12);
        memcpy(frame + 12, tag, 4);
        n += 4;
        if (buffer[0] & 1) add_to_le16(buffer + 6, 4);
    }
    print_hex(buffer, HEADER);
    putchar(' ');
    print_hex(frame, (size_t)n - HEADER);
    putchar('\n');
}

static int frames(const char *out, const char *in) {
    static char line[2 * (HEADER + MAX_FRAME) + 8];
    static uint8_t buffer[HEADER + MAX_FRAME];
    int sender = packet_socket(out), receiver = packet_socket(in);
    while (fgets(line, sizeof line, stdin) != NULL) {
        size_t header = from_hex(line + 2, buffer), frame = from_hex(line + 2 + 2 * header + 1, buffer + header);
        if (send(sender, buffer, header + frame, 0) < 0) printf("error: %s\n", strerror(errno));
        struct pollfd p = {.fd = receiver, .events = POLLIN};
        for (int limit = FIRST_MS; poll(&p, 1, limit) > 0; limit = SILENCE_MS) {
            show(receiver);
            if (line[0] == '1') break;
        }
        printf(".\n");
        fflush(stdout);
    }
    return 0;
}

static int frames_send(const char *out) {
    static char line[2 * (HEADER + MAX_FRAME) + 8];
    static uint8_t buffer[HEADER + MAX_FRAME];
    int sender = packet_socket(out);
    while (fgets(line, sizeof line, stdin) != NULL) {
        size_t header = from_hex(line, buffer), frame = from_hex(line + 2 * header + 1, buffer + header);
        check((int)send(sender, buffer, header + frame, 0), "send");
    }
    return 0;
}

static int frames_recv(const char *in, int count) {
    struct pollfd p = {.fd = packet_socket(in), .events = POLLIN};
    printf("ready\n");
    fflush(stdout);
    for (; poll(&p, 1, count > 0 ? NEXT_MS : LINGER_MS) > 0; count--) show(p.fd);
    printf(".\n");
    return 0;
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    if (strcmp(mode, "tcp-recv") == 0 && argc == 3) tcp_recv(argv[2]);
    if (strcmp(mode, "tcp-send") == 0 && argc == 5) return tcp_send(argv[2], argv[3], argv[4]);
    if (strcmp(mode, "udp-recv") == 0 && argc == 3) return udp_recv(argv[2], 0);
    if (strcmp(mode, "udp-recv") == 0 && argc == 4) return udp_recv(argv[2], strtoull(argv[3], NULL, 10));
    if (strcmp(mode, "udp-send") == 0 && argc == 8) return udp_send(argv + 2);
    if (strcmp(mode, "frames") == 0 && argc == 4) return frames(argv[2], argv[3]);
    if (strcmp(mode, "frames-send") == 0 && argc == 3) return frames_send(argv[2]);
    if (strcmp(mode, "frames-recv") == 0 && argc == 4) return frames_recv(argv[2], atoi(argv[3]));
    fprintf(stderr, "wrong arguments; the comment on top of net.c is the help\n");
    return 2;
}
