#!/usr/bin/env bash
# What each type of port carries, as a wire between two of its kind: the figures of README's table of situations.
#
# ports.sh [SECONDS]
#
# UDP frames of 64 and 1,514 bytes and 1,024 flows are sent for SECONDS (default 4) by a generator on CPU 0, or by a capture's
# replay, through a worker on CPU 1. Prints million frames a second that arrive at the far end, and the worker's busy
# nanoseconds a frame. tap, af_packet and af_xdp carry what the kernel's own work for them leaves of CPU 0; for
# vhost-user see compare.sh. Runs in a network namespace of its own, so for root only.
set -euo pipefail
# shellcheck source=../../qemu-scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../qemu-scripts/lib.sh"
# shellcheck source=captures.sh
. "$(dirname "${BASH_SOURCE[0]}")/captures.sh"

case ${1:-} in --help | -h) usage; exit ;; esac
seconds=${1:-4}
((EUID == 0)) || die "only root can make network namespaces"
[[ -x $MYPERVISOR ]] || die "$MYPERVISOR is not there; build it with mvn -q -DskipTests package"
[[ -n ${PORTS_NAMESPACE:-} ]] || PORTS_NAMESPACE=1 exec unshare --net -- "$BASH" "$0" "$@"

begin_work
gcc -O2 -o "$WORK/veth-blast" "$(dirname "${BASH_SOURCE[0]}")/veth-blast.c"
echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6
for name in a b; do
    ip link add "gen-$name" type veth peer name "veth-$name"
    ip tuntap add "tap-$name" mode tap vnet_hdr
    for nic in "gen-$name" "veth-$name" "tap-$name"; do ip link set "$nic" up; done
done
# XDP frames have no place for a checksum that is still to be made.
"$BASH" -c 'command -v ethtool > /dev/null && ethtool -K gen-a tx off > /dev/null' || true
echo 'deny udp from any to 10.1.0.0/16 port 53' > "$WORK/rules"

stats() { backend_stats "$WORK/control"; }
arrived() { # by the counter of an interface, or of our own port b
    if [[ $1 == b ]]; then stats | jq '.ports[] | select(.id == "b") | .sent.packets'; else ip -s -j link show dev "$1" | jq '.[0].stats64.rx.packets'; fi
}

# measure NAME SIZE GENERATOR SINK PORT-A PORT-B [PATH]
measure() {
    local before after began ended first
    backend_start "$WORK/control" "$WORK/log" --port "id=a,$5" --port "id=b,$6" --path "${7:-a -> b}" --poll busy --cpus 1
    if [[ $3 != - ]]; then
        chrt --idle 0 taskset -c 0 "$WORK/veth-blast" "$3" "$2" 1024 &
        started $!
        generator=$!
    fi
    sleep 2 # the JIT is done, the caches are warm
    first=$(stats) before=$(arrived "$4") began=$(date +%s%N)
    sleep "$seconds"
    after=$(arrived "$4") ended=$(date +%s%N)
    stats | jq -r --argjson first "$first" --arg name "$1" --arg size "$2" --argjson n "$((after - before))" --argjson ns "$((ended - began))" '
        (.workers[0].packets - $first.workers[0].packets) as $packets
        | "| \($name) | \($size) | \($n * 100000 / $ns | round / 100) | \((.workers[0].busy_ns - $first.workers[0].busy_ns) / $packets | round) |"'
    [[ $3 == - ]] || stop_process "$generator"
    backend_stop
}

echo '| ports | frame bytes | million frames/s | worker, ns/frame |'
echo '|---|---:|---:|---:|'
for size in 64 1514; do
    # Without the check sequence, as the others.
    capture "$WORK/$size.pcap" $((size + 4))
    measure "tap to tap" "$size" tap-a tap-b type=tap,ifname=tap-a type=tap,ifname=tap-b
    measure "af_packet to af_packet" "$size" gen-a gen-b type=af_packet,ifname=veth-a type=af_packet,ifname=veth-b
    measure "af_xdp to af_xdp" "$size" gen-a gen-b type=af_xdp,ifname=veth-a type=af_xdp,ifname=veth-b
    replay="type=pcap,read=$WORK/$size.pcap,speed=max,loop=forever"
    measure "pcap to af_packet" "$size" - gen-b "$replay" type=af_packet,ifname=veth-b
    measure "pcap to pcap, filtered" "$size" - b "$replay" "type=pcap,write=$WORK/out.pcap,size=16G" "a -> filter(rules=$WORK/rules) -> b"
    rm -f "$WORK/out.pcap"
    measure "pcap to null, filtered" "$size" - b "$replay" type=null "a -> filter(rules=$WORK/rules) -> b"
done
