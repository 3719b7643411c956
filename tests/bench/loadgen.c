/* Sends UDP frames through two ports and counts what arrives at the other one; with --latency it measures how long each frame
 * took. A DPDK application with one core for both ports, meant for two net_virtio_user ports, that is, for whatever back-end
 * listens on their sockets.
 *
 * loadgen EAL_OPTION... -- --turns FILE [--size BYTES|imix] [--flows N] [--ring N] [--rate FRAMES_PER_SECOND] [--latency]
 *
 * It sends and measures when take-turns.c says so in FILE; turns.h has the words.
 * --ring is the length of the rings; at most 96 frames a port are under way. --rate is that of both directions together; 0, the
 * default, is as fast as it goes. Flow i has source address 198.18.0.0 + i, destination 10.253.0.0 + i, source port 1024 + i % 60000
 * and destination port i % 1000 + 1; flows come in a scrambled order.
 * Prints one line of JSON: what was received in the measured turns, the rate of each of them, and percentiles in nanoseconds.
 */
#include "turns.h"
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_malloc.h>
#include <rte_udp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    PORTS = 2,
    BURST = 32,
    MBUFS = 8191,
    /* A driver takes back what was sent when it needs the place, and 1,024 frames a port would be out of the cache by then: the
     * generator's own misses would hide the back-end. The ring is as long as it is all the same. */
    MOST_SENT = 96,
    MBUF_CACHE = 500,
    HEADERS = 42,
    STAMP_OFFSET = HEADERS,
    SMALLEST = 60,
    LARGEST = 1514,
    SUB_BUCKETS = 64, /* 1.6 % */
    BUCKETS = 40 * SUB_BUCKETS,
    IMIX_LENGTH = 12,
    MOST_RING = 2048,
    MOST_TURNS = 4096,
};

/* Of flow 0. */
static const uint32_t first_source = RTE_IPV4(198, 18, 0, 0), first_destination = RTE_IPV4(10, 253, 0, 0);
static const uint16_t imix[IMIX_LENGTH] = {64, 576, 64, 64, 576, 64, 1514, 64, 576, 64, 576, 64};

static unsigned flows = 1024, ring = 1024;
static double rate;
static bool with_latency, with_imix;
static const char *turns_file;
static uint16_t size = 64;

static struct rte_mempool *pool;
static uint8_t template[LARGEST];
static uint32_t template_sum; /* of the IP header of flow 0, without the length */
static uint32_t next_flow, flow_step;
static unsigned imix_at;
static struct rte_mbuf *spare[2 * BURST]; /* Received ones, to be sent next: their headers are almost the same. */
static unsigned spares;
static uint64_t received, refused, buckets[BUCKETS], slowest;
static bool recording;
static double mpps[MOST_TURNS];
static unsigned turns_taken;

static void fill_template(void)
{
    struct rte_ether_hdr *ether = (void *)template;
    struct rte_ipv4_hdr *ip = (void *)(ether + 1);
    struct rte_udp_hdr *udp = (void *)(ip + 1);
    static const uint8_t macs[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
    memcpy(ether, macs, sizeof macs);
    ether->ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
    ip->version_ihl = 0x45;
    ip->time_to_live = 64;
    ip->next_proto_id = 17;
    ip->src_addr = rte_cpu_to_be_32(first_source);
    ip->dst_addr = rte_cpu_to_be_32(first_destination);
    udp->dgram_cksum = 0;
    template_sum = (uint16_t)~rte_be_to_cpu_16(rte_ipv4_cksum(ip));
}

/* Any two flows in a row are far apart, and all have their turn. */
static uint32_t take_flow(void)
{
    uint32_t flow = next_flow;
    next_flow += flow_step;
    if (next_flow >= flows)
        next_flow -= flows;
    return flow;
}

/* From what differs: to read the header back would be to wait until it is in the cache. Both addresses grow by the flow, from ones whose
 * lower half is 0. */
static rte_be16_t ip_checksum(uint16_t length, uint32_t flow)
{
    uint32_t sum = template_sum + length + 2 * ((flow >> 16) + (flow & 0xFFFF));
    sum = (sum & 0xFFFF) + (sum >> 16);
    sum = (sum & 0xFFFF) + (sum >> 16);
    return rte_cpu_to_be_16(~sum);
}

/* Writes what differs from frame to frame; the rest is there. In few stores: those to lines that the back-end has wait for them, and
 * all others of the driver wait behind. A buffer that has another frame's length has that in its header, too, since back-ends hand
 * frames on as they are; a new one has 0. */
static void fill(struct rte_mbuf *mbuf)
{
    uint16_t bytes = size;
    if (with_imix) {
        bytes = imix[imix_at];
        imix_at = imix_at + 1 == IMIX_LENGTH ? 0 : imix_at + 1;
    }
    uint8_t *frame = rte_pktmbuf_mtod(mbuf, uint8_t *);
    struct rte_ipv4_hdr *ip = (void *)(frame + RTE_ETHER_HDR_LEN);
    struct rte_udp_hdr *udp = (void *)(ip + 1);
    uint32_t flow = take_flow();
    if (mbuf->data_len != bytes) {
        ip->total_length = rte_cpu_to_be_16(bytes - RTE_ETHER_HDR_LEN);
        udp->dgram_len = rte_cpu_to_be_16(bytes - RTE_ETHER_HDR_LEN - sizeof *ip);
        mbuf->data_len = mbuf->pkt_len = bytes;
    }
    ip->hdr_checksum = ip_checksum(bytes - RTE_ETHER_HDR_LEN, flow);
    const uint64_t addresses = rte_cpu_to_be_64((uint64_t)(first_source + flow) << 32 | (first_destination + flow));
    const uint32_t ports = rte_cpu_to_be_32((1024 + flow % 60000) << 16 | (flow % 1000 + 1));
    memcpy(&ip->src_addr, &addresses, sizeof addresses);
    memcpy(&udp->src_port, &ports, sizeof ports);
}

static unsigned bucket_of(uint64_t ns)
{
    if (ns < SUB_BUCKETS)
        return ns;
    unsigned shift = 63 - __builtin_clzll(ns) - 6 + 1;
    unsigned bucket = shift * (SUB_BUCKETS / 2) + (ns >> shift);
    return RTE_MIN(bucket, (unsigned)BUCKETS - 1);
}

static uint64_t middle_of(unsigned bucket)
{
    if (bucket < SUB_BUCKETS)
        return bucket;
    unsigned shift = bucket / (SUB_BUCKETS / 2) - 1;
    uint64_t low = (uint64_t)(bucket - shift * (SUB_BUCKETS / 2)) << shift;
    return low + (1ULL << shift) / 2;
}

static uint64_t percentile(double share)
{
    uint64_t total = 0, seen = 0;
    for (unsigned i = 0; i < BUCKETS; i++)
        total += buckets[i];
    for (unsigned i = 0; i < BUCKETS; i++) {
        seen += buckets[i];
        if (total && seen >= share * total)
            return middle_of(i);
    }
    return 0;
}

/* count is BURST at most. */
static bool take(struct rte_mbuf **mbufs, unsigned count)
{
    if (spares < count) {
        if (rte_pktmbuf_alloc_bulk(pool, spare + spares, BURST))
            return false;
        for (unsigned i = 0; i < BURST; i++)
            memcpy(rte_pktmbuf_mtod(spare[spares + i], void *), template, HEADERS);
        spares += BURST;
    }
    spares -= count;
    memcpy(mbufs, spare + spares, count * sizeof *mbufs);
    return true;
}

static void give_back(struct rte_mbuf **mbufs, unsigned count)
{
    if (spares + count > RTE_DIM(spare)) {
        rte_pktmbuf_free_bulk(mbufs, count);
        return;
    }
    memcpy(spare + spares, mbufs, count * sizeof *mbufs);
    spares += count;
}

/* Answers how many the ring took. With --latency the first is due at that time, and each a step later than the one before: frames that
 * find no place wait, and their time counts from then on. */
static unsigned send_burst(uint16_t port, unsigned count, double due, double step)
{
    struct rte_mbuf *mbufs[BURST];
    if (!take(mbufs, count))
        return 0;
    /* The back-end has had these lines; they are waited for together. */
    for (unsigned i = 0; i < count; i++)
        __builtin_prefetch(rte_pktmbuf_mtod(mbufs[i], void *), 1);
    for (unsigned i = 0; i < count; i++)
        fill(mbufs[i]);
    for (unsigned i = 0; with_latency && i < count; i++) {
        uint64_t stamp = due + i * step;
        memcpy(rte_pktmbuf_mtod_offset(mbufs[i], void *, STAMP_OFFSET), &stamp, sizeof stamp);
    }
    unsigned taken = rte_eth_tx_burst(port, 0, mbufs, count);
    refused += count - taken;
    give_back(mbufs + taken, count - taken);
    return taken;
}

static void receive_burst(uint16_t port, double ns_per_cycle)
{
    struct rte_mbuf *mbufs[BURST];
    unsigned count = rte_eth_rx_burst(port, 0, mbufs, BURST);
    if (!count)
        return;
    received += count;
    if (mbufs[0]->nb_segs != 1)
        rte_exit(EXIT_FAILURE, "a frame came in %u parts, and is not to be sent again\n", mbufs[0]->nb_segs);
    if (recording) {
        uint64_t now = rte_rdtsc(), stamp;
        for (unsigned i = 0; i < count; i++) {
            memcpy(&stamp, rte_pktmbuf_mtod_offset(mbufs[i], void *, STAMP_OFFSET), sizeof stamp);
            uint64_t ns = (now - stamp) * ns_per_cycle;
            buckets[bucket_of(ns)]++;
            slowest = RTE_MAX(slowest, ns);
        }
    }
    give_back(mbufs, count);
}

/* Once through both ports; paced from begin on, if at all. */
static void forth_and_back(uint64_t now, uint64_t begin, uint64_t *given, bool sending)
{
    const double hz = rte_get_tsc_hz(), step = rate > 0 ? PORTS * hz / rate : 0;
    for (uint16_t port = 0; port < PORTS; port++) {
        if (sending) {
            uint64_t due = rate > 0 ? (now - begin) / step : given[port] + BURST;
            unsigned count = RTE_MIN(due - given[port], (uint64_t)BURST);
            if (count)
                given[port] += send_burst(port, count, begin + (given[port] + 1) * step, step);
        }
        receive_burst(port, 1e9 / hz);
    }
}

static void take_turns(struct turns *turns)
{
    uint32_t word = PAUSE;
    uint64_t begin = 0, turn_begin = 0, turn_received = 0, given[PORTS] = {0};
    turns->ready = 1;
    while (word != END) {
        const uint32_t next = turns->word;
        const uint64_t now = rte_rdtsc();
        if (next != word) {
            if (word == PAUSE) {
                begin = now;
                memset(given, 0, sizeof given);
            }
            if (word == MEASURE && turns_taken < MOST_TURNS)
                mpps[turns_taken++] = (received - turn_received) / ((now - turn_begin) / (double)rte_get_tsc_hz()) / 1e6;
            if (next == MEASURE) {
                turn_begin = now;
                turn_received = received;
            }
            /* What is under way at the end of a turn belongs to it. */
            recording = with_latency && (next == MEASURE || (next == PAUSE && recording));
            word = next;
        }
        forth_and_back(now, begin, given, word == WARM || word == MEASURE);
    }
}

static struct turns *map_turns(void)
{
    int fd = open(turns_file, O_RDWR);
    struct turns *turns = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *turns, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (turns == MAP_FAILED)
        rte_exit(EXIT_FAILURE, "%s cannot be mapped: %s\n", turns_file, strerror(errno));
    return turns;
}

static void set_up(uint16_t port)
{
    struct rte_eth_conf conf = {0};
    struct rte_eth_link link = {0};
    const unsigned most_sent = RTE_MIN(ring, (unsigned)MOST_SENT);
    if (rte_eth_dev_configure(port, 1, 1, &conf) || rte_eth_tx_queue_setup(port, 0, most_sent, SOCKET_ID_ANY, NULL)
        || rte_eth_rx_queue_setup(port, 0, ring, SOCKET_ID_ANY, NULL, pool) || rte_eth_dev_start(port))
        rte_exit(EXIT_FAILURE, "port %u cannot be set up\n", port);
    rte_eth_promiscuous_enable(port);
    for (int i = 0; i < 100 && !link.link_status; i++) {
        rte_delay_ms(50);
        rte_eth_link_get_nowait(port, &link);
    }
    if (!link.link_status)
        rte_exit(EXIT_FAILURE, "port %u has no link\n", port);
}

static uint32_t step_for(uint32_t n)
{
    /* Near the golden section, and without a common divisor. */
    uint32_t step = RTE_MAX(1u, (uint32_t)(n * 0.6180339887));
    for (;; step++) {
        uint32_t a = n, b = step;
        while (b) {
            uint32_t rest = a % b;
            a = b;
            b = rest;
        }
        if (a == 1)
            return step;
    }
}

static void parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"size", required_argument, 0, 's'},  {"flows", required_argument, 0, 'f'}, {"ring", required_argument, 0, 'g'},
        {"rate", required_argument, 0, 'r'}, {"latency", no_argument, 0, 'l'},     {"turns", required_argument, 0, 't'},
        {0, 0, 0, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 's':
            with_imix = !strcmp(optarg, "imix");
            size = with_imix ? 64 : atoi(optarg);
            break;
        case 'f': flows = atoi(optarg); break;
        case 'g': ring = atoi(optarg); break;
        case 'r': rate = atof(optarg); break;
        case 'l': with_latency = true; break;
        case 't': turns_file = optarg; break;
        default: rte_exit(2, "see the head of loadgen.c\n");
        }
    }
    if (size < SMALLEST || size > LARGEST || flows < 1 || flows > 1 << 20 || ring < BURST || ring > MOST_RING
        || (with_latency && rate <= 0) || !turns_file)
        rte_exit(2, "size %d..%d, flows 1..%d, ring %d..%d, --rate with --latency, and --turns\n", SMALLEST, LARGEST, 1 << 20, BURST,
                 MOST_RING);
}

int main(int argc, char **argv)
{
    int used = rte_eal_init(argc, argv);
    if (used < 0)
        rte_exit(EXIT_FAILURE, "EAL: %s\n", rte_strerror(rte_errno));
    parse(argc - used, argv + used);
    if (rte_eth_dev_count_avail() != PORTS)
        rte_exit(EXIT_FAILURE, "two ports are needed, there are %u\n", rte_eth_dev_count_avail());
    flow_step = step_for(flows);
    fill_template();
    pool = rte_pktmbuf_pool_create("frames", MBUFS, MBUF_CACHE, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
    if (!pool)
        rte_exit(EXIT_FAILURE, "no memory for frames\n");
    for (uint16_t port = 0; port < PORTS; port++)
        set_up(port);
    take_turns(map_turns());
    printf("{\"received\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"turns\":[", received, refused);
    for (unsigned i = 0; i < turns_taken; i++)
        printf("%s%.3f", i ? "," : "", mpps[i]);
    printf("]");
    if (with_latency)
        printf(",\"p50\":%" PRIu64 ",\"p99\":%" PRIu64 ",\"p9999\":%" PRIu64 ",\"max\":%" PRIu64, percentile(.5), percentile(.99),
               percentile(.9999), slowest);
    puts("}");
    return 0;
}
