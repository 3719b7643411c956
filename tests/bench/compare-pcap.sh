#!/usr/bin/env bash
# Compares replaying a capture into a veth pair with tcpreplay (--topspeed --preload-pcap), interleaved.
#
# compare-pcap.sh [ROUNDS [SECONDS]]
#
# Two captures, of 64-byte frames and of a mix of sizes (IMIX: seven of 64 bytes, four of 590, one of 1514), 12,000 frames
# and 1,024 flows each, are sent over and over for SECONDS (default 4) in each of ROUNDS (default 5): by tcpreplay, by ours
# through a filter of 100 rules (pcap -> filter -> af_packet), and by ours without one. What arrived is counted by the far
# end of the pair, over the middle of each run. The last lines are medians, in million frames a second and in CPU time of the
# sender a frame, which a busy machine disturbs less, and the ratios ours/tcpreplay. Ends with status 1 when ours with the
# filter sends less. Each round takes the three in another order. Root only: it makes a network namespace.
# shellcheck disable=SC2317 # the wires are called by their names
set -euo pipefail
# shellcheck source=../../qemu-scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../qemu-scripts/lib.sh"
# shellcheck source=captures.sh
. "$(dirname "${BASH_SOURCE[0]}")/captures.sh"

case ${1:-} in --help | -h) usage; exit ;; esac
rounds=${1:-5} seconds=${2:-4}
((EUID == 0)) || die "only root can make network namespaces"
command -v tcpreplay > /dev/null || die "tcpreplay is missing; run $SCRIPTS/install.sh --with-peers"
[[ -x $MYPERVISOR ]] || die "$MYPERVISOR is not there; build it with mvn -q -DskipTests package"

begin_work
near=mvp$$ far=mvq$$
clean_up() {
    local name
    for name in "$near" "$far"; do ip netns del "$name" 2> /dev/null || true; done
}
trap 'clean_up; end_work' EXIT

for name in "$near" "$far"; do ip netns add "$name"; done
ip -n "$near" link add out type veth peer name nic netns "$far"
for end in "$near out" "$far nic"; do
    read -r name nic <<< "$end"
    ip netns exec "$name" sysctl -qw "net.ipv6.conf.$nic.disable_ipv6=1"
    ip -n "$name" link set "$nic" up
done

capture "$WORK/64.pcap" 64
capture "$WORK/imix.pcap" 64 590 64 64 590 64 1518 64 590 64 590 64
for ((i = 1; i <= 100; i++)); do echo "deny udp from any to 10.1.$i.0/24 port $i"; done > "$WORK/rules"

arrived() { ip netns exec "$far" cat /sys/class/net/nic/statistics/rx_packets; }

cpu_nanos() { cat "/proc/$1/task/"*/schedstat | awk '{ sum += $1 } END { printf "%.0f\n", sum }'; }

# measure PID: prints million frames a second that arrive while it sends, and what one costs it in nanoseconds of CPU time.
measure() {
    local before after began ended cpu
    sleep 4 # the JIT is done, the caches are warm
    before=$(arrived) began=$(date +%s%N) cpu=$(cpu_nanos "$1")
    sleep "$seconds"
    after=$(arrived) ended=$(date +%s%N) cpu=$(($(cpu_nanos "$1") - cpu))
    stop_process "$1"
    awk -v n=$((after - before)) -v ns=$((ended - began)) -v cpu="$cpu" 'BEGIN { printf "%.3f %.0f\n", n * 1000 / ns, cpu / n }'
}

run_tcpreplay() { # CAPTURE
    ip netns exec "$near" taskset -c 1 tcpreplay --topspeed --preload-pcap --loop 1000000 -q -i out "$1" > /dev/null 2>&1 &
    started $!
    measure $!
}

run_ours() { # CAPTURE PATH
    ip netns exec "$near" "$MYPERVISOR" run --port "id=in,type=pcap,read=$1,speed=max,loop=forever" \
        --port id=out,type=af_packet,ifname=out --path "$2" --cpus 1 > "$WORK/log" 2>&1 &
    started $!
    measure $!
}

# median COLUMN FILE
median() { awk -v c="$1" '{ print $c }' "$2" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

run_filter() { run_ours "$1" "in -> filter(rules=$WORK/rules) -> out"; } # CAPTURE

run_plain() { run_ours "$1" "in -> out"; } # CAPTURE

wires=(tcpreplay filter plain) status=0 table=()
for frames in 64 imix; do
    for ((round = 1; round <= rounds; round++)); do
        for ((turn = 0; turn < 3; turn++)); do
            who=${wires[(turn + round) % 3]}
            "run_$who" "$WORK/$frames.pcap" >> "$WORK/$who-$frames"
        done
        progress "$frames, round $round: $(tail -qn 1 "$WORK"/{tcpreplay,filter,plain}-"$frames" | paste -sd '|')"
    done
    for column in 1 2; do
        a=$(median "$column" "$WORK/tcpreplay-$frames") b=$(median "$column" "$WORK/filter-$frames")
        c=$(median "$column" "$WORK/plain-$frames")
        table+=("$(awk -v f="$frames" -v unit="$column" -v a="$a" -v b="$b" -v c="$c" 'BEGIN {
            printf "%-5s %-9s %10s %8s %6.2f %10s %6.2f", f, unit == 1 ? "Mpps" : "CPU ns", a, b, b / a, c, c / a }')")
        if ((column == 1)) && awk -v a="$a" -v b="$b" 'BEGIN { exit !(b < a) }'; then status=1; fi
    done
done
printf '%-15s %10s %8s %6s %10s %6s\n' frames tcpreplay filter ratio 'no filter' ratio
printf '%s\n' "${table[@]}"
exit "$status"
