#!/usr/bin/env bash
# Compares Mypervisor with its peers in one run: DPDK's vhost (dpdk-testpmd, io) and OVS-DPDK, with the same generator.
#
# compare.sh [OPTION]...
#
#   --rounds N       each case that often, ours and the peers in turn (default 5); figures are medians
#   --seconds N      measured, after warming up (default 3)
#   --warm N         seconds of warming up (default 6: on a CPU shared with the generator the JIT needs 3 to 4)
#   --only REGEX     the cases whose name matches, as in 64/split/in_order/wire or 'imix/.*/wire'
#   --latency        latencies at 10, 50 and 90 % of what the slower of ours and testpmd carries, instead of the table of speeds,
#                    and the JVM's longest pause in a minute at 50 %
#   --list           prints the names of the cases
#   --out FOLDER     for bench.json (default target/bench)
#
# The generator (loadgen.c, two virtio-user ports) runs on CPU 0, the back-end's worker, testpmd's core or OVS's PMD thread on
# CPU 1; our JIT, collector and control threads are kept off CPU 1. Names of cases: frame size, ring format, in_order or
# out_of_order, work, and the ring's entries where they are not 1024. The work is wire; 10 (that many rules); 1000-1k and
# 1000-100k (rules, flows); ours alone besides, to see what more rules cost: 100 and 10000 rules with 100k flows, and with 1m,
# of which each comes again after a million frames. ours_ns and testpmd_ns are busy nanoseconds a packet; OVS does not tell the like.
#
# A virtual machine's host may move its CPUs: apart ("far"), every packet takes two to three times as long as side by side
# ("near"), whoever moves it. So before and after each sample a cache line is sent there and back (core-to-core.c), samples during
# which that changed are taken again, and only samples of one placement are compared. Where both occur each has its row.
# Needs huge pages: echo 1024 > /proc/sys/vm/nr_hugepages; mount -t hugetlbfs nodev /mnt/huge
set -euo pipefail
# shellcheck source=../../qemu-scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../qemu-scripts/lib.sh"
BENCH=$ROOT/tests/bench

rounds=5 seconds=3 warm=6 only=. latency=no list=no out=$ROOT/target/bench
while (($#)); do
    case $1 in
        --help | -h) usage; exit ;;
        --latency) latency=yes; shift; continue ;;
        --list) list=yes; shift; continue ;;
        --*) value "$1" $# ;;&
        --rounds) rounds=$2 ;;
        --seconds) seconds=$2 ;;
        --warm) warm=$2 ;;
        --only) only=$2 ;;
        --out) out=$2 ;;
        *) wrong_option "unknown option $1" ;;
    esac
    shift 2
done

cases() {
    local size ring order work
    for size in 64 512 1514 imix; do
        for ring in split packed; do
            for order in in_order out_of_order; do
                for work in wire 10 1000-1k 1000-100k; do echo "$size/$ring/$order/$work"; done
                [[ $size != 64 ]] || echo "$size/$ring/$order/wire/256"
            done
        done
    done
    for work in 100-100k 10000-100k 100-1m 10000-1m; do echo "64/split/in_order/$work"; done
}
mapfile -t chosen < <(cases | grep -E -e "$only")
((${#chosen[@]})) || die "no case is called $only (--list shows all)"
[[ $list == no ]] || { printf '%s\n' "${chosen[@]}"; exit; }

for program in dpdk-testpmd ovs-vsctl curl jq gcc pkg-config; do
    command -v "$program" > /dev/null || die "$program is missing; run $SCRIPTS/install.sh --with-peers"
done
[[ -x $MYPERVISOR ]] || die "$MYPERVISOR is not there; build it with mvn -q -DskipTests package"
huge=$(awk '$3 == "hugetlbfs" { print $2; exit }' /proc/mounts)
[[ -n $huge ]] && (($(awk '/HugePages_Free/ { print $2 }' /proc/meminfo) >= 900)) ||
    die "900 free huge pages and a mounted hugetlbfs are needed (--help shows the commands)"

begin_work
# DPDK leaves its memory behind when it ends.
trap 'rm -f "$huge"/{load,peer,ovs}$$map_*; end_work' EXIT
mkdir -p "$out"
gcc -O3 -march=native $(pkg-config --cflags libdpdk) -o "$WORK/loadgen" "$BENCH/loadgen.c" $(pkg-config --libs libdpdk)
gcc -O2 -pthread -o "$WORK/core-to-core" "$BENCH/core-to-core.c"
gcc -O2 -o "$WORK/tsc-khz" "$SCRIPTS/guest/tsc-khz.c"
ghz=$("$WORK/tsc-khz" | awk '{ print $1 / 1e6 }')
eal=(--no-pci --no-telemetry --huge-dir "$huge")

# write_rules COUNT: the same rules twice, for us and as OVS's flows. Each asks for one of the flows' ports, and for prefixes of
# theirs at all depths; one in eight denies.
write_rules() {
    awk -v count="$1" -v ours="$WORK/$1.rules" -v theirs="$WORK/$1.flows" 'BEGIN {
        for (k = 0; k < count; k++) {
            source = 8 + k % 5 * 4; destination = 8 + int(k / 5) % 5 * 4
            from = prefix(198, 18, k % 256, source); to = prefix(10, 253, k * 7 % 256, destination); port = k % 1000 + 1
            deny = k % 8 == 3
            print (deny ? "deny" : "allow"), "udp from", from, "to", to, "port", port > ours
            printf "priority=%d,udp,nw_src=%s,nw_dst=%s,tp_dst=%d,actions=%s\n", 60000 - k, from, to, port,
                deny ? "drop" : "OUT" > theirs
        }
        print "allow ip from any to any" > ours
        print "priority=1,actions=OUT" > theirs
    }
    function prefix(a, b, c, length_) {
        if (length_ <= 8) return a ".0.0.0/8"
        if (length_ == 12) return a "." int(b / 16) * 16 ".0.0/12"
        if (length_ == 16) return a "." b ".0.0/16"
        if (length_ == 20) return a "." b "." int(c / 16) * 16 ".0/20"
        return a "." b "." c ".0/24"
    }'
}
for count in 10 100 1000 10000; do write_rules "$count"; done

# split CASE: sets size, ring, order, work, entries, rules, flows
split() {
    IFS=/ read -r size ring order work entries <<< "$1/1024"
    entries=${entries%%/*} rules=${work%%-*} flows=1024
    case $work in *-100k) flows=100000 ;; *-1m) flows=1000000 ;; esac
}

# generate NAME ARGUMENT...: runs the generator; its line of JSON goes to $WORK/NAME.json.
generate() {
    local name=$1 socket=$2 other=$3 options="queue_size=$entries"
    shift 3
    [[ $ring == split ]] || options+=,packed_vq=1
    [[ $order == in_order ]] && options+=,in_order=1 || options+=,in_order=0
    "$WORK/loadgen" --lcores 0@0 "${eal[@]}" -m 256 --single-file-segments --file-prefix "load$$" \
        --vdev "net_virtio_user0,path=$socket,$options" --vdev "net_virtio_user1,path=$other,$options" \
        -- --size "$size" --flows "$flows" --ring "$entries" --warm "$warm" --seconds "$seconds" "$@" > "$WORK/loadgen.log" 2>&1 ||
        { tail -n 5 "$WORK/loadgen.log" >&2; die "$name: the generator failed (its last lines are above)"; }
    grep '^{' "$WORK/loadgen.log" > "$WORK/$name.json"
}

worker() { curl -s --unix-socket "$WORK/control" http://localhost/v1/stats | jq -c '.workers[0]'; }

ours() {
    local path='a <-> b'
    [[ $work == wire ]] || path="a <-> filter(rules=$WORK/$rules.rules) <-> b"
    backend_start "$WORK/control" "$WORK/log" --port "id=a,path=$WORK/a" --port "id=b,path=$WORK/b" --path "$path" --poll busy --cpus 1
    if [[ $latency == yes ]]; then
        # Whoever asks for statistics takes a CPU from the frames for milliseconds.
        generate ours "$WORK/a" "$WORK/b" "$@"
        backend_stop
        cp "$WORK/ours.json" "$WORK/result"
        return
    fi
    (sleep "$(awk -v w="$warm" 'BEGIN { print w + 0.3 }')"; worker > "$WORK/before"; sleep "$(awk -v s="$seconds" 'BEGIN { print s - 0.6 }')"; worker > "$WORK/after") &
    local snapshots=$!
    generate ours "$WORK/a" "$WORK/b" "$@"
    wait "$snapshots"
    backend_stop
    jq -c --slurpfile a "$WORK/before" --slurpfile b "$WORK/after" \
        '($b[0].packets - $a[0].packets) as $packets
            | . + {ns: (($b[0].busy_ns - $a[0].busy_ns) / $packets), burst: ($packets / ($b[0].bursts - $a[0].bursts))}' "$WORK/ours.json" > "$WORK/result"
}

testpmd() {
    local pid commands cycles
    mkfifo "$WORK/commands"
    exec {commands}<> "$WORK/commands"
    dpdk-testpmd --lcores 0@0,1@1 "${eal[@]}" -m 256 --file-prefix "peer$$" --vdev "net_vhost0,iface=$WORK/va,queues=1" \
        --vdev "net_vhost1,iface=$WORK/vb,queues=1" -- -i --nb-cores=1 --forward-mode=io --auto-start --record-core-cycles \
        --total-num-mbufs=32768 < "$WORK/commands" > "$WORK/testpmd.log" 2>&1 &
    pid=$!
    started "$pid"
    until_true 20 test -S "$WORK/vb" || die "testpmd does not start: $(tail -n 3 "$WORK/testpmd.log")"
    generate testpmd "$WORK/va" "$WORK/vb" "$@"
    printf 'stop\nquit\n' >&"$commands"
    until_true 10 grep -q 'Bye' "$WORK/testpmd.log" || true
    stop_process "$pid"
    exec {commands}>&-
    rm -f "$WORK/commands" "$WORK/va" "$WORK/vb"
    cycles=$(sed -n 's/.*CPU cycles\/packet=\([0-9.]*\).*/\1/p' "$WORK/testpmd.log" | tail -n 1)
    jq -c --arg cycles "${cycles:-0}" --arg ghz "$ghz" '. + {ns: (($cycles | tonumber) / ($ghz | tonumber))}' "$WORK/testpmd.json" > "$WORK/result"
}

ovs() {
    local database=$WORK/ovs/db.sock
    export OVS_RUNDIR=$WORK/ovs OVS_LOGDIR=$WORK/ovs OVS_DBDIR=$WORK/ovs OVS_SYSCONFDIR=$WORK/ovs
    rm -rf "$WORK/ovs"
    mkdir "$WORK/ovs"
    ovsdb-tool create "$WORK/ovs/conf.db" /usr/share/openvswitch/vswitch.ovsschema
    ovsdb-server "$WORK/ovs/conf.db" "--remote=punix:$database" > "$WORK/ovs/ovsdb.log" 2>&1 &
    local server=$!
    started "$server"
    until_true 10 test -S "$database" || die "ovsdb-server does not start: $(cat "$WORK/ovs/ovsdb.log")"
    ovs-vsctl --db="unix:$database" --no-wait init -- set Open_vSwitch . other_config:dpdk-init=true other_config:dpdk-lcore-mask=1 \
        other_config:pmd-cpu-mask=2 other_config:dpdk-socket-mem=512 \
        other_config:dpdk-extra="--no-pci --no-telemetry --file-prefix=ovs$$ --huge-dir=$huge"
    /usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk "unix:$database" > "$WORK/ovs/vswitchd.log" 2>&1 &
    local switch=$!
    started "$switch"
    ovs-vsctl --db="unix:$database" --timeout=30 add-br br0 -- set bridge br0 datapath_type=netdev -- \
        add-port br0 a -- set Interface a type=dpdkvhostuser ofport_request=1 -- \
        add-port br0 b -- set Interface b type=dpdkvhostuser ofport_request=2 || die "OVS: $(tail -n 5 "$WORK/ovs/vswitchd.log")"
    ovs-ofctl del-flows br0
    if [[ $work == wire ]]; then
        printf 'in_port=1,actions=output:2\nin_port=2,actions=output:1\n'
    else
        sed 's/OUT/output:2/; s/^/in_port=1,/' "$WORK/$rules.flows"
        sed 's/OUT/output:1/; s/^/in_port=2,/' "$WORK/$rules.flows"
    fi | ovs-ofctl add-flows br0 -
    generate ovs "$WORK/ovs/a" "$WORK/ovs/b" "$@"
    # Else the bridge's own interfaces stay on this machine.
    ovs-appctl -t "$(echo "$WORK"/ovs/ovs-vswitchd.*.ctl)" exit --cleanup > /dev/null 2>&1 || true
    stop_process "$switch" || true
    stop_process "$server" || true
    cp "$WORK/ovs.json" "$WORK/result"
}

median() { jq -s --arg key "$1" 'map(.[$key]) | sort | .[(length - 1) / 2 | floor]' "$2"; }
ratio() { jq -n --argjson a "$1" --argjson b "$2" 'if $b == 0 then 0 else $a / $b * 1000 | round / 1000 end'; }

# Nanoseconds there and back from which on two CPUs are far from each other.
readonly FAR=200
placement() { # near or far
    local ns
    ns=$("$WORK/core-to-core") || die "the CPUs' distance cannot be measured (its message is above)"
    if ((ns < FAR)); then echo near; else echo far; fi
}

# sample WHO ARGUMENT...: with all of it in one placement, which is left in $placement; the result in $WORK/result.
sample() {
    local try before
    for try in 1 2 3 4; do
        before=$(placement) || exit
        "$@"
        placement=$(placement) || exit
        [[ $placement != "$before" ]] || return 0
        ((try == 4)) || progress "the CPUs were moved meanwhile; once more"
    done
    placement=mixed
}

samples() { if [[ -f $1 ]]; then wc -l < "$1"; else echo 0; fi; } # of a file

# row CASE PLACEMENT WHO...: medians, if everybody has samples.
row() {
    local name=$1 where=$2 who n least=1000000 row
    shift 2
    for who in "$@"; do
        n=$(samples "$WORK/of-$who-$where")
        least=$((n < least ? n : least))
    done
    ((least)) || return 0
    row=("\"case\":\"$name\"" "\"cores\":\"$where\"" "\"samples\":$least")
    for who in "$@"; do
        row+=("\"${who}_mpps\":$(median mpps "$WORK/of-$who-$where")")
        [[ $who == ovs ]] || row+=("\"${who}_ns\":$(median ns "$WORK/of-$who-$where")")
    done
    (IFS=,; echo "{${row[*]}}") | jq -c '. + {mpps_ratio_testpmd: (if .testpmd_mpps then .ours_mpps / .testpmd_mpps else null end),
        ns_ratio_testpmd: (if .testpmd_ns then .ours_ns / .testpmd_ns else null end),
        mpps_ratio_ovs: (if .ovs_mpps then .ours_mpps / .ovs_mpps else null end)}' >> "$WORK/rows"
}

# enough WHO...: half of the rounds are there for everybody in one placement.
enough() {
    local where who all
    for where in near far; do
        all=yes
        for who in "$@"; do (($(samples "$WORK/of-$who-$where") * 2 >= rounds)) || all=no; done
        [[ $all == no ]] || return 0
    done
    return 1
}

speeds() {
    local name who contenders round placement settled=0
    : > "$WORK/rows"
    for name in "${chosen[@]}"; do
        split "$name"
        contenders=(ours testpmd ovs)
        case $work in
            wire) ;;
            100-* | 10000-*) contenders=(ours) ;;
            *) contenders=(ours ovs) ;;
        esac
        rm -f "$WORK"/of-*
        for ((round = 1; round <= rounds || (round <= 2 * rounds && !settled); round++)); do
            for who in "${contenders[@]}"; do
                sample "$who"
                jq -c . "$WORK/result" >> "$WORK/of-$who-$placement"
                progress "$name, round $round, $placement, $who: $(jq -r '"\(.mpps) Mpps" + (if .ns then ", \(.ns * 10 | round / 10) ns/packet" else "" end) + (if .burst then ", \(.burst * 10 | round / 10) packets a burst" else "" end)' "$WORK/result")"
            done
            settled=0
            ! enough "${contenders[@]}" || settled=1
        done
        row "$name" near "${contenders[@]}"
        row "$name" far "${contenders[@]}"
        grep -qF "\"$name\"" "$WORK/rows" || warn "$name: no two samples had the CPUs in one placement; take more --rounds"
    done
    jq -s --arg date "$(date -u +%FT%TZ)" --argjson rounds "$rounds" --argjson seconds "$seconds" \
        '{$date, $rounds, $seconds, cases: .}' "$WORK/rows" > "$out/bench.json"
    {
        echo "case cores samples ours_Mpps ours_ns testpmd_Mpps testpmd_ns ratio_Mpps ratio_ns OVS_Mpps ratio_Mpps"
        jq -r '.cases[] | def f(n): if . == null then "-" else . * n | round / n end;
            [.case, .cores, .samples, (.ours_mpps | f(100)), (.ours_ns | f(10)), (.testpmd_mpps | f(100)), (.testpmd_ns | f(10)), (.mpps_ratio_testpmd | f(1000)),
             (.ns_ratio_testpmd | f(1000)), (.ovs_mpps | f(100)), (.mpps_ratio_ovs | f(1000))] | join(" ")' "$out/bench.json"
    } | awk '{ printf "%-36s%6s%9s", $1, $2, $3; for (i = 4; i <= NF; i++) printf "%13s", $i; print "" }'
}

latencies() {
    local name who round share full=() rate placement where
    for name in "${chosen[@]}"; do
        split "$name"
        [[ $work == wire ]] || continue
        full=()
        for who in ours testpmd; do "$who"; full+=("$(jq '.mpps * 1e6 | round' "$WORK/result")"); done
        rate=$((full[0] < full[1] ? full[0] : full[1]))
        for share in 10 50 90; do
            rm -f "$WORK"/of-*
            for ((round = 1; round <= rounds; round++)); do
                for who in ours testpmd; do
                    sample "$who" --latency --rate $((rate / 100 * share))
                    jq -c . "$WORK/result" >> "$WORK/of-$who-$placement"
                    progress "$name at $share %, round $round, $placement, $who: $(jq -r '"p50 \(.p50) p99 \(.p99) p99.99 \(.p9999) ns"' "$WORK/result")"
                done
            done
            for where in near far; do
                [[ -f $WORK/of-ours-$where && -f $WORK/of-testpmd-$where ]] || continue
                for who in ours testpmd; do
                    jq -n --arg case "$name" --arg cores "$where" --argjson samples "$(samples "$WORK/of-$who-$where")" --arg who "$who" \
                        --argjson share "$share" --argjson rate "$((rate / 100 * share))" \
                        --argjson p50 "$(median p50 "$WORK/of-$who-$where")" --argjson p99 "$(median p99 "$WORK/of-$who-$where")" \
                        --argjson p9999 "$(median p9999 "$WORK/of-$who-$where")" -c \
                        '{$case, $share, $rate, $cores, $samples, $who, $p50, $p99, $p9999}' >> "$WORK/rows"
                done
            done
        done
    done
    jq -s --arg date "$(date -u +%FT%TZ)" --argjson rounds "$rounds" --argjson seconds "$seconds" \
        '{$date, $rounds, $seconds, latencies: .}' "$WORK/rows" > "$out/latency.json"
    {
        echo "case load_% frames/s cores samples who p50_ns p99_ns p99.99_ns"
        jq -r '.latencies[] | [.case, .share, .rate, .cores, .samples, .who, .p50, .p99, .p9999] | join(" ")' "$out/latency.json"
    } | awk '{ printf "%-36s", $1; for (i = 2; i <= NF; i++) printf "%12s", $i; print "" }'
}

# pauses: the JVM stops all threads at safepoints; its log says for how long.
pauses() {
    local rate
    split "${chosen[0]}"
    rate=$(jq "[.latencies[] | select(.share == 50)][0].rate" "$out/latency.json")
    seconds=60
    MYPERVISOR_JAVA_OPTS="-Xlog:safepoint:file=$out/safepoints.log" ours --latency --rate "$rate"
    awk '{ for (i = 1; i < NF; i++) if ($i == "Total:") { n++; if ($(i + 1) > most) most = $(i + 1) } }
        END { printf "safepoints in a minute at 50 %%: %d, the longest stopped all threads for %.0f us\n", n, most / 1000 }' "$out/safepoints.log"
}

if [[ $latency == yes ]]; then latencies; pauses; else speeds; fi
