/*
 * tap-echo: what QEMU without vhost-net does for a middlebox guest, and a guest that costs nothing: each frame is read
 * from one tap and written to the other, with its virtio-net header, offloads and all.
 *
 *   tap-echo TAP TAP
 *
 * It denies what demo.rules denies, as the guest's firewall would.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

enum { HEADER = 12, ROOM = HEADER + 65536 + 18, BURST = 50 /* as QEMU */ };

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "tap-echo: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int open_tap(const char *name)
{
    struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
    snprintf(request.ifr_name, IFNAMSIZ, "%s", name);
    int size = HEADER, fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    unsigned offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request) || ioctl(fd, TUNSETVNETHDRSZ, &size))
        die(name);
    /* USO: as of Linux 6.2. */
    if (ioctl(fd, TUNSETOFFLOAD, offloads | TUN_F_USO4 | TUN_F_USO6) && ioctl(fd, TUNSETOFFLOAD, offloads))
        die(name);
    return fd;
}

static unsigned get16(const uint8_t *at)
{
    return at[0] << 8 | at[1];
}

static bool denied(const uint8_t *frame, size_t length)
{
    if (length < 14 + 20 + 4)
        return length >= 14 && get16(frame + 12) == 0x88b5;
    if (get16(frame + 12) != 0x0800)
        return get16(frame + 12) == 0x88b5;
    const uint8_t *ip = frame + 14, *l4 = ip + (ip[0] & 15) * 4;
    if (!memcmp(ip + 12, "\xc0\x00\x02", 3))
        return true;
    if (l4 + 4 > frame + length || get16(ip + 6) & 0x1fff)
        return false;
    return (ip[9] == 17 && get16(l4 + 2) == 53) || (ip[9] == 6 && get16(l4 + 2) == 23);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: tap-echo TAP TAP\n");
        return 2;
    }
    struct pollfd taps[2];
    for (int i = 0; i < 2; i++)
        taps[i] = (struct pollfd) { .fd = open_tap(argv[1 + i]), .events = POLLIN };
    static uint8_t frame[ROOM];
    for (;;) {
        if (poll(taps, 2, -1) < 0 && errno != EINTR)
            die("poll");
        for (int i = 0; i < 2; i++) {
            ssize_t n;
            for (int burst = 0; burst < BURST && (n = read(taps[i].fd, frame, sizeof frame)) > 0; burst++)
                if (n >= HEADER && !denied(frame + HEADER, n - HEADER) && write(taps[!i].fd, frame, n) < 0 && errno == EBADFD)
                    die("write");
            if (n < 0 && errno == EBADFD)
                die(argv[1 + i]);
        }
    }
}
