# The wire of one port type against that of dpdk-testpmd on the same veth pairs; compare-af-packet.sh and compare-af-xdp.sh
# say which. They set type and vdev, and source this with their own arguments.
# shellcheck shell=bash
# shellcheck source=../../qemu-scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../qemu-scripts/lib.sh"

case ${1:-} in --help | -h) usage; exit ;; esac
rounds=${1:-5} seconds=${2:-5}
((EUID == 0)) || die "only root can make network namespaces"
command -v dpdk-testpmd > /dev/null || die "dpdk-testpmd is missing; run $SCRIPTS/install.sh --with-peers"
[[ -x $MYPERVISOR ]] || die "$MYPERVISOR is not there; build it with mvn -q -DskipTests package"

begin_work
from=mvf$$ to=mvt$$
clean_up() {
    local name
    for name in "$from" "$to"; do ip netns del "$name" 2> /dev/null || true; done
}
trap 'clean_up; end_work' EXIT

gcc -O2 -o "$WORK/veth-blast" "$(dirname "${BASH_SOURCE[0]}")/veth-blast.c"
for name in "$from" "$to"; do
    ip netns add "$name"
    ip link add "${name}h" type veth peer name nic netns "$name"
    echo 1 > "/proc/sys/net/ipv6/conf/${name}h/disable_ipv6"
    ip -n "$name" link set nic up
    ip link set "${name}h" up
done

arrived() { ip netns exec "$to" cat /sys/class/net/nic/statistics/rx_packets; }

# generate SIZE: prints million frames a second that arrive, while some wire runs.
generate() {
    local before after began ended generator
    # Whatever the kernel has to do for the wire on CPU 0 goes first: else most frames are lost before they reach it.
    ip netns exec "$from" chrt --idle 0 taskset -c 0 "$WORK/veth-blast" nic "$1" 1024 &
    generator=$!
    started "$generator"
    sleep 2 # the JIT is done, the caches are warm
    before=$(arrived) began=$(date +%s%N)
    sleep "$seconds"
    after=$(arrived) ended=$(date +%s%N)
    stop_process "$generator"
    awk -v n=$((after - before)) -v ns=$((ended - began)) 'BEGIN { printf "%.3f\n", n * 1000 / ns }'
}

ours() { # SIZE
    backend_start "$WORK/control" "$WORK/log" --port "id=a,type=$type,ifname=${from}h" \
        --port "id=b,type=$type,ifname=${to}h" --path 'a -> b' --poll busy --cpus 1
    generate "$1" >> "$WORK/ours-$1"
    backend_stats "$WORK/control" > "$WORK/stats"
    backend_stop
}

testpmd() { # SIZE
    local pid commands
    mkfifo "$WORK/commands"
    exec {commands}<> "$WORK/commands"
    dpdk-testpmd --lcores 0@0,1@1 --no-pci --no-telemetry --no-huge -m 256 --file-prefix "mv$$" \
        --vdev "${vdev}0,iface=${from}h" --vdev "${vdev}1,iface=${to}h" -- -i --nb-cores=1 --forward-mode=io \
        --auto-start --total-num-mbufs=16384 < "$WORK/commands" > "$WORK/testpmd.log" 2>&1 &
    pid=$!
    started "$pid"
    until_true 20 grep -q '^testpmd>' "$WORK/testpmd.log" || { tail "$WORK/testpmd.log" >&2; die "testpmd does not start"; }
    generate "$1" >> "$WORK/testpmd-$1"
    stop_process "$pid"
    exec {commands}>&-
    rm "$WORK/commands"
}

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

status=0 table=()
for size in 64 1514; do
    for ((round = 1; round <= rounds; round++)); do
        # Whoever comes first finds the machine as the other left it: in turns.
        order=(testpmd ours)
        ((round % 2)) || order=(ours testpmd)
        for who in "${order[@]}"; do
            "$who" "$size"
            progress "$size B, round $round, $who: $(tail -n 1 "$WORK/$who-$size") Mpps"
        done
        progress "  our worker: $(jq -r '.workers[0] | "\(.busy_ns / .packets | round) ns/packet, \(.busy_ns * 100 / (.busy_ns + .idle_ns) | round) % busy"' "$WORK/stats")"
    done
    a=$(median < "$WORK/testpmd-$size") b=$(median < "$WORK/ours-$size")
    ratio=$(awk -v a="$a" -v b="$b" 'BEGIN { printf "%.3f", b / a }')
    table+=("$(printf '%-6s %10s %10s %10s' "$size B" "$a" "$b" "$ratio")")
    awk -v r="$ratio" 'BEGIN { exit !(r < 0.98) }' && status=1
done
printf '%-6s %10s %10s %10s\n' frames testpmd ours ratio
printf '%s\n' "${table[@]}"
exit "$status"
