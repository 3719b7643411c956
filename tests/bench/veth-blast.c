/* Sends UDP frames of one size out of an interface as fast as it goes, of some flows in turn, until it is ended.
 *
 * veth-blast INTERFACE FRAME_BYTES FLOWS
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 64, MAX_FRAME = 1514, HEADERS = 42 };

static uint8_t frames[BATCH][MAX_FRAME];

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void put16(uint8_t *at, unsigned value)
{
    at[0] = value >> 8;
    at[1] = value;
}

static unsigned sum16(const uint8_t *at, int bytes)
{
    unsigned sum = 0;
    for (int i = 0; i < bytes; i += 2)
        sum += at[i] << 8 | at[i + 1];
    while (sum >> 16)
        sum = (sum & 0xFFFF) + (sum >> 16);
    return sum;
}

/* Without a UDP checksum, which IPv4 allows. */
static void fill(uint8_t *frame, int bytes)
{
    static const uint8_t macs[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0};
    memcpy(frame, macs, sizeof macs);
    uint8_t *ip = frame + 14;
    ip[0] = 0x45;
    put16(ip + 2, bytes - 14);
    ip[8] = 64;
    ip[9] = 17;
    put16(ip + 12, 198 << 8 | 18);
    put16(ip + 16, 10 << 8 | 253);
    put16(ip + 20, 9);
    put16(ip + 22, 9);
    put16(ip + 24, bytes - 34);
}

static void set_flow(uint8_t *frame, unsigned flow)
{
    uint8_t *ip = frame + 14;
    put16(ip + 18, flow);
    put16(ip + 10, 0);
    put16(ip + 10, ~sum16(ip, 20));
}

int main(int argc, char **argv)
{
    int bytes = argc == 4 ? atoi(argv[2]) : 0;
    unsigned flows = argc == 4 ? atoi(argv[3]) : 0, flow = 0;
    if (bytes < HEADERS || bytes > MAX_FRAME || flows < 1 || flows > 65536) {
        fprintf(stderr, "usage: %s INTERFACE FRAME_BYTES(%d..%d) FLOWS(1..65536)\n", argv[0], HEADERS, MAX_FRAME);
        return 2;
    }
    int fd = socket(AF_PACKET, SOCK_RAW, 0);
    if (fd < 0)
        die("packet socket");
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(argv[1])};
    if (!to.sll_ifindex || bind(fd, (struct sockaddr *)&to, sizeof to))
        die(argv[1]);
    int on = 1;
    if (setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on))
        die("PACKET_QDISC_BYPASS");
    struct iovec iovecs[BATCH];
    struct mmsghdr messages[BATCH];
    memset(messages, 0, sizeof messages);
    for (int i = 0; i < BATCH; i++) {
        fill(frames[i], bytes);
        iovecs[i] = (struct iovec){frames[i], bytes};
        messages[i].msg_hdr.msg_iov = &iovecs[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            set_flow(frames[i], flow);
            flow = flow + 1 == flows ? 0 : flow + 1;
        }
        sendmmsg(fd, messages, BATCH, 0);
    }
}
