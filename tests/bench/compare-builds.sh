#!/usr/bin/env bash
# Compares the speed of two builds in one run, interleaved: the new one must not be slower.
#
# compare-builds.sh OLD_LAUNCHER NEW_LAUNCHER [ROUNDS [SECONDS]]
#
# A LAUNCHER is a middlebox-offload/target/mypervisor/bin/mypervisor. Each ROUND (default 5) runs each build for SECONDS
# (default 5) with dpdk-testpmd generating 64-byte frames both ways on CPU 0 and the back-end's worker on CPU 1, through a
# wire and through a filter of ten rules. The figure is the worker's busy time per packet; the last lines are its medians
# and the ratios old/new, above 1 when the new build is faster. Ends with status 1 when a ratio is below 0.98.
set -euo pipefail
# shellcheck source=../../qemu-scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../qemu-scripts/lib.sh"

case ${1:-} in --help | -h | '') usage; exit ;; esac
(($# >= 2)) || wrong_option "two launchers are needed"
old=$1 new=$2 rounds=${3:-5} seconds=${4:-5}
for launcher in "$old" "$new"; do [[ -x $launcher ]] || die "$launcher is no launcher; build it with mvn -q -DskipTests package"; done
command -v dpdk-testpmd > /dev/null || die "dpdk-testpmd is missing; run $SCRIPTS/install.sh --with-testpmd"

begin_work
cat > "$WORK/ten.rules" << 'RULES'
deny tcp from any to any port 80
deny icmp from any to 10.0.0.7
deny ip6 from any to any
deny udp from any to any port 53
deny udp from 192.168.0.0/16 to any
deny tcp from 10.0.0.0/8 to any
deny arp
deny ether type 0x88cc
deny udp from 172.16.0.0/12 to any
allow ip from any to any
default deny
RULES
# Huge pages where there are some: without them the generator's own page misses hide part of the back-end.
if (($(awk '/HugePages_Free/ { print $2 }' /proc/meminfo) >= 256)) && grep -q hugetlbfs /proc/mounts; then
    memory=(-m 512 --single-file-segments --huge-dir "$(awk '$3 == "hugetlbfs" { print $2; exit }' /proc/mounts)")
else
    memory=(--no-huge -m 256)
fi

# measure LAUNCHER PATH: prints the worker's busy nanoseconds a packet.
measure() {
    local stats
    MYPERVISOR=$1
    backend_start "$WORK/control" "$WORK/log" --port "id=a,path=$WORK/a" --port "id=b,path=$WORK/b" --path "$2" \
        --poll busy --cpus 1
    { sleep 2; echo start; sleep "$seconds"; echo stop; echo quit; } | dpdk-testpmd --lcores 0@0,1@0 --no-pci --no-telemetry \
        --file-prefix "compare$$" "${memory[@]}" --vdev "net_virtio_user0,path=$WORK/a,queue_size=1024" \
        --vdev "net_virtio_user1,path=$WORK/b,queue_size=1024" -- -i --nb-cores=1 --forward-mode=flowgen --txd=1024 \
        --rxd=1024 --total-num-mbufs=8192 --mbcache=512 > "$WORK/testpmd.log" 2>&1
    stats=$(backend_stats "$WORK/control")
    backend_stop
    jq -r '.workers[0] | .busy_ns / .packets' <<< "$stats"
}

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

status=0 table=()
for case in "wire|a <-> b" "filter10|a <-> filter(rules=$WORK/ten.rules) <-> b"; do
    name=${case%%|*} path=${case#*|}
    for ((round = 1; round <= rounds; round++)); do
        for build in old new; do
            ns=$(measure "${!build}" "$path")
            progress "$name, round $round, $build: $(printf %.1f "$ns") ns/packet"
            echo "$ns" >> "$WORK/$name.$build"
        done
    done
    a=$(median < "$WORK/$name.old") b=$(median < "$WORK/$name.new")
    ratio=$(awk -v a="$a" -v b="$b" 'BEGIN { printf "%.3f", a / b }')
    table+=("$(printf '%-10s %10.1f %10.1f %8s' "$name" "$a" "$b" "$ratio")")
    awk -v r="$ratio" 'BEGIN { exit !(r >= 0.98) }' || status=1
done
printf '%-10s %10s %10s %8s\n' case "old ns" "new ns" old/new
printf '%s\n' "${table[@]}"
exit "$status"
