#!/usr/bin/env bash
# Compares Mypervisor with its peers in one run: DPDK's vhost (dpdk-testpmd, io) and OVS-DPDK, with the same generator.
#
# compare.sh [OPTION]...
#
#   --turns N        each back-end has so many a case (default 40), in turn with the others; figures are medians over them
#   --ms N           measured in a turn (default 150)
#   --warm N         seconds of warming up (default 6: on a CPU shared with the generator the JIT needs 3 to 4)
#   --only REGEX     the cases whose name matches, as in 64/split/in_order/wire or 'imix/.*/wire'
#   --latency        latencies at 10, 50 and 90 % of what the slower of ours and testpmd carries, instead of the table of speeds,
#                    and the JVM's longest pause in a minute at 50 %
#   --runs N         of ten seconds, for --latency (default 5); figures are medians over them
#   --list           prints the names of the cases
#   --out FOLDER     for bench.json, and turns.json with every turn (default target/bench)
#
# All back-ends of a case run at the same time, each with its own generator (loadgen.c, two virtio-user ports), and take turns of a
# fraction of a second (take-turns.c): a machine that slows down does so for all of them. The generator runs on CPU 0, the
# back-end's worker, testpmd's core or OVS's PMD thread on CPU 1; our JIT, collector and control threads are kept off CPU 1. Names of
# cases: frame size, ring format, in_order or out_of_order, work, and the ring's entries where they are not 1024. The work is wire;
# 10 (that many rules); 1000-1k and 1000-100k (rules, flows); and ours against ours, to see what more rules cost: 10000 rules
# against 100 with 100k flows, and with 1m, of which each comes again after a million frames.
#
# A virtual machine's host may move its CPUs: apart ("far"), every packet takes two to three times as long as side by side
# ("near"). So before and after each turn a cache line is sent there and back (core-to-core.c); where all had their turn with the CPUs in
# one placement, their rates are compared: a ratio is the median of those of turns side by side. ns are busy nanoseconds a packet,
# over all turns; OVS does not tell the like.
# Needs huge pages: echo 1024 > /proc/sys/vm/nr_hugepages; mount -t hugetlbfs nodev /mnt/huge
set -euo pipefail
# shellcheck source=../../qemu-scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../qemu-scripts/lib.sh"
BENCH=$ROOT/tests/bench

turns=40 ms=150 warm=6 runs=5 only=. latency=no list=no out=$ROOT/target/bench
while (($#)); do
    case $1 in
        --help | -h) usage; exit ;;
        --latency) latency=yes; shift; continue ;;
        --list) list=yes; shift; continue ;;
        --*) value "$1" $# ;;&
        --turns) turns=$2 ;;
        --ms) ms=$2 ;;
        --warm) warm=$2 ;;
        --runs) runs=$2 ;;
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
    for work in 10000-100k 10000-1m; do echo "64/split/in_order/$work"; done
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
trap 'rm -f "$huge"/{load,peer,ovs}$$*map_*; end_work' EXIT
mkdir -p "$out"
gcc -O3 -march=native $(pkg-config --cflags libdpdk) -o "$WORK/loadgen" "$BENCH/loadgen.c" $(pkg-config --libs libdpdk)
gcc -O2 -pthread -o "$WORK/core-to-core" "$BENCH/core-to-core.c"
gcc -O2 -o "$WORK/take-turns" "$BENCH/take-turns.c"
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

# Of the contenders of the present case, by name.
declare -A back_end=() generator=()

# start_generator WHO SOCKET OTHER ARGUMENT...
start_generator() {
    local who=$1 socket=$2 other=$3 options="queue_size=$entries"
    shift 3
    [[ $ring == split ]] || options+=,packed_vq=1
    [[ $order == in_order ]] && options+=,in_order=1 || options+=,in_order=0
    truncate -s 0 "$WORK/turns-$who"
    truncate -s 64 "$WORK/turns-$who"
    "$WORK/loadgen" --lcores 0@0 "${eal[@]}" -m 128 --single-file-segments --file-prefix "load$$$who" \
        --vdev "net_virtio_user0,path=$socket,$options" --vdev "net_virtio_user1,path=$other,$options" \
        -- --turns "$WORK/turns-$who" --size "$size" --flows "$flows" --ring "$entries" "$@" > "$WORK/loadgen-$who" 2>&1 &
    generator[$who]=$!
    started "$!"
    until_true 30 listens "$who" || { tail -n 5 "$WORK/loadgen-$who" >&2; die "$who: the generator does not start (its last lines are above)"; }
}

listens() { (($(od -An -tu4 -j4 -N4 "$WORK/turns-$1"))); } # the generator of

# end_generator WHO: leaves its line of JSON in $WORK/of-WHO.
end_generator() {
    local who=$1
    kill -CONT "${back_end[$who]}" "${generator[$who]}"
    printf '\003' | dd of="$WORK/turns-$who" conv=notrunc status=none
    until_true 10 grep -q '^{' "$WORK/loadgen-$who" || { tail -n 5 "$WORK/loadgen-$who" >&2; die "$who: the generator failed (its last lines are above)"; }
    stop_process "${generator[$who]}" || true
    grep '^{' "$WORK/loadgen-$who" > "$WORK/of-$who"
}

worker() { curl -s --unix-socket "$WORK/control-$1" http://localhost/v1/stats | jq -c '.workers[0]'; }

# start_ours WHO RULES ARGUMENT...
start_ours() {
    local who=$1 path='a <-> b'
    [[ $2 == wire ]] || path="a <-> filter(rules=$WORK/$2.rules) <-> b"
    shift 2
    backend_start "$WORK/control-$who" "$WORK/log-$who" --port "id=a,path=$WORK/a-$who" --port "id=b,path=$WORK/b-$who" --path "$path" \
        --poll busy --cpus 1
    back_end[$who]=$BACKEND
    start_generator "$who" "$WORK/a-$who" "$WORK/b-$who" "$@"
}

# look_at_ours WHO FILE: what its worker has done.
look_at_ours() {
    kill -CONT "${back_end[$1]}"
    worker "$1" > "$WORK/$2-$1"
    kill -STOP "${back_end[$1]}"
}

# end_ours WHO: adds what a packet took between two looks.
end_ours() {
    end_generator "$1"
    worker "$1" > "$WORK/after-$1"
    stop_process "${back_end[$1]}"
    jq -c --slurpfile a "$WORK/before-$1" --slurpfile b "$WORK/after-$1" \
        '($b[0].packets - $a[0].packets) as $packets
            | . + {ns: (($b[0].busy_ns - $a[0].busy_ns) / $packets), burst: ($packets / ($b[0].bursts - $a[0].bursts))}' "$WORK/of-$1" > "$WORK/result"
    mv "$WORK/result" "$WORK/of-$1"
}

start_testpmd() {
    rm -f "$WORK/commands"
    mkfifo "$WORK/commands"
    exec {commands}<> "$WORK/commands"
    dpdk-testpmd --lcores 0@0,1@1 "${eal[@]}" -m 256 --file-prefix "peer$$" --vdev "net_vhost0,iface=$WORK/va,queues=1" \
        --vdev "net_vhost1,iface=$WORK/vb,queues=1" -- -i --nb-cores=1 --forward-mode=io --auto-start --record-core-cycles \
        --total-num-mbufs=32768 < "$WORK/commands" > "$WORK/testpmd.log" 2>&1 &
    back_end[testpmd]=$!
    started "$!"
    until_true 20 test -S "$WORK/vb" || die "testpmd does not start: $(tail -n 3 "$WORK/testpmd.log")"
    start_generator testpmd "$WORK/va" "$WORK/vb" "$@"
}

end_testpmd() {
    local cycles
    end_generator testpmd
    printf 'stop\nquit\n' >&"$commands"
    until_true 10 grep -q 'Bye' "$WORK/testpmd.log" || true
    stop_process "${back_end[testpmd]}"
    exec {commands}>&-
    rm -f "$WORK/va" "$WORK/vb"
    cycles=$(sed -n 's/.*CPU cycles\/packet=\([0-9.]*\).*/\1/p' "$WORK/testpmd.log" | tail -n 1)
    jq -c --arg cycles "${cycles:-0}" --arg ghz "$ghz" '. + {ns: (($cycles | tonumber) / ($ghz | tonumber))}' "$WORK/of-testpmd" > "$WORK/result"
    mv "$WORK/result" "$WORK/of-testpmd"
}

start_ovs() {
    local database=$WORK/ovs/db.sock
    export OVS_RUNDIR=$WORK/ovs OVS_LOGDIR=$WORK/ovs OVS_DBDIR=$WORK/ovs OVS_SYSCONFDIR=$WORK/ovs
    rm -rf "$WORK/ovs"
    mkdir "$WORK/ovs"
    ovsdb-tool create "$WORK/ovs/conf.db" /usr/share/openvswitch/vswitch.ovsschema
    ovsdb-server "$WORK/ovs/conf.db" "--remote=punix:$database" > "$WORK/ovs/ovsdb.log" 2>&1 &
    ovs_server=$!
    started "$ovs_server"
    until_true 10 test -S "$database" || die "ovsdb-server does not start: $(cat "$WORK/ovs/ovsdb.log")"
    ovs-vsctl --db="unix:$database" --no-wait init -- set Open_vSwitch . other_config:dpdk-init=true other_config:dpdk-lcore-mask=1 \
        other_config:pmd-cpu-mask=2 other_config:dpdk-socket-mem=512 \
        other_config:dpdk-extra="--no-pci --no-telemetry --file-prefix=ovs$$ --huge-dir=$huge"
    /usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk "unix:$database" > "$WORK/ovs/vswitchd.log" 2>&1 &
    back_end[ovs]=$!
    started "$!"
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
    start_generator ovs "$WORK/ovs/a" "$WORK/ovs/b" "$@"
}

end_ovs() {
    end_generator ovs
    # Else the bridge's own interfaces stay on this machine.
    ovs-appctl -t "$(echo "$WORK"/ovs/ovs-vswitchd.*.ctl)" exit --cleanup > /dev/null 2>&1 || true
    stop_process "${back_end[ovs]}" || true
    stop_process "$ovs_server" || true
}

# start WHO ARGUMENT...: a contender, warm; then it stands still.
start() {
    local who=$1 seconds=1
    shift
    case $who in
        testpmd | ovs) "start_$who" "$@" ;;
        ours) start_ours ours "$rules" "$@"; seconds=$warm ;;
        fewer) start_ours fewer 100 "$@"; seconds=$warm ;;
    esac
    kill -STOP "${generator[$who]}" "${back_end[$who]}"
    let_take_turns 0 0 $((seconds * 1000)) "$who"
    case $who in ours | fewer) look_at_ours "$who" before ;; esac
}

# end WHO: a contender; its results are in $WORK/of-WHO.
end() {
    case $1 in
        testpmd | ovs) "end_$1" ;;
        *) end_ours "$1" ;;
    esac
}

# let_take_turns ROUNDS MS LEAD WHO...: what take-turns prints goes to $WORK/turns.
let_take_turns() {
    local who contenders=()
    for who in "${@:4}"; do contenders+=("$who:${back_end[$who]}:${generator[$who]}:$WORK/turns-$who"); done
    "$WORK/take-turns" "$1" "$2" "$3" "$WORK/core-to-core" "${contenders[@]}" > "$WORK/turns" || die "see above"
}

# Nanoseconds there and back from which on two CPUs are far from each other.
readonly FAR=200
# Of a turn, the caches' share.
readonly LEAD=25

# compete WHO...: all take their turns; leaves {who: {turns: [Mpps...], cores: [near, far or between...], ns: …}, …} in $WORK/case.
compete() {
    local who
    for who in "$@"; do start "$who"; done
    let_take_turns "$turns" "$ms" "$LEAD" "$@"
    for who in "$@"; do end "$who"; done
    for who in "$@"; do
        awk -v who="$who" -v far=$FAR \
            '$1 == who { print ($2 < far && $3 < far ? "near" : $2 >= far && $3 >= far ? "far" : "between") }' "$WORK/turns" |
            jq -R . | jq -s --arg who "$who" --slurpfile of "$WORK/of-$who" '{($who): ($of[0] + {cores: .})}'
    done | jq -cs add > "$WORK/case"
}

# A row for each placement in which everybody had turns enough for a median. Ratios are those of turns side by side.
readonly ROWS='def median: sort | .[(length - 1) / 2 | floor];
    def quotient(a; b): if a and b then a / b else null end;
    . as $c | [.[] | .cores] | transpose as $places | ("near", "far") as $cores
    | [$places | to_entries[] | select(.value | all(. == $cores)) | .key] as $at | select($at | length >= 5)
    | def ratio(who): if $c[who] then [$at[] | $c.ours.turns[.] / $c[who].turns[.]] | median else null end;
    {case: $case, cores: $cores, turns: ($at | length)}
        + ([$c | to_entries[] | .value.turns as $mpps | {("\(.key)_mpps"): ([$at[] | $mpps[.]] | median)}
            + (if .value.ns then {("\(.key)_ns"): .value.ns} else {} end)] | add)
    | . + {mpps_ratio_testpmd: ratio("testpmd"), ns_ratio_testpmd: quotient(.ours_ns; .testpmd_ns),
        mpps_ratio_ovs: ratio("ovs"), ns_ratio_fewer: quotient(.ours_ns; .fewer_ns)}'

speeds() {
    local name contenders
    : > "$WORK/rows"
    : > "$out/turns.json"
    for name in "${chosen[@]}"; do
        split "$name"
        case $work in
            wire) contenders=(ours testpmd ovs) ;;
            10000-*) contenders=(ours fewer) ;;
            *) contenders=(ours ovs) ;;
        esac
        compete "${contenders[@]}"
        jq -c --arg case "$name" '{$case} + .' "$WORK/case" >> "$out/turns.json"
        jq -c --arg case "$name" "$ROWS" "$WORK/case" > "$WORK/row"
        [[ -s $WORK/row ]] || warn "$name: the CPUs were moved all the time; take more --turns"
        cat "$WORK/row" >> "$WORK/rows"
        progress "$name: $(jq -r --slurpfile rows "$WORK/row" -n '[$rows[] | "\(.cores) " + ([to_entries[] | select(.key | endswith("_mpps")) | "\(.key[:-5]) \(.value)"] | join(", "))] | join("; ")') Mpps; $(jq -r 'to_entries | map(select(.value.ns) | "\(.key) \(.value.ns * 10 | round / 10)") | join(", ")' "$WORK/case") ns"
    done
    jq -s --arg date "$(date -u +%FT%TZ)" --argjson turns "$turns" --argjson ms "$ms" '{$date, $turns, $ms, cases: .}' "$WORK/rows" > "$out/bench.json"
    {
        echo "case cores turns ours_Mpps testpmd_Mpps ratio OVS_Mpps ratio ours_ns testpmd_ns ratio 100_rules_ns ratio"
        jq -r '.cases[] | def f(n): if . == null then "-" else . * n | round / n end;
            [.case, .cores, .turns, (.ours_mpps | f(100)), (.testpmd_mpps | f(100)), (.mpps_ratio_testpmd | f(100)), (.ovs_mpps | f(100)),
             (.mpps_ratio_ovs | f(100)), (.ours_ns | f(10)), (.testpmd_ns | f(10)), (.ns_ratio_testpmd | f(100)), (.fewer_ns | f(10)),
             (.ns_ratio_fewer | f(100))] | join(" ")' "$out/bench.json"
    } | awk '{ printf "%-32s%6s%6s", $1, $2, $3; for (i = 4; i <= NF; i++) printf "%*s", i == 6 || i == 8 || i == 11 || i == 13 ? 7 : 13, $i; print "" }'
}

# rate_of_slower: what both ours and testpmd carry in the present case, frames a second.
rate_of_slower() {
    local turns=20
    compete ours testpmd
    jq 'def median: sort | .[(length - 1) / 2 | floor]; [.[] | .turns | median] | min * 1e6 | round' "$WORK/case"
}

latencies() {
    local name who run share full
    : > "$WORK/rows"
    for name in "${chosen[@]}"; do
        split "$name"
        [[ $work == wire ]] || continue
        full=$(rate_of_slower)
        for share in 10 50 90; do
            for ((run = 1; run <= runs; run++)); do
                for who in ours testpmd; do start "$who" --latency --rate $((full / 100 * share)); done
                let_take_turns 20 500 "$LEAD" ours testpmd
                for who in ours testpmd; do
                    end "$who"
                    jq -c --arg case "$name" --argjson share "$share" --argjson rate $((full / 100 * share)) --arg who "$who" \
                        '{$case, $share, $rate, $who, p50, p99, p9999, max}' "$WORK/of-$who" | tee -a "$WORK/rows" > "$WORK/row"
                    progress "$name at $share %, run $run, $who: $(jq -r '"p50 \(.p50) p99 \(.p99) p99.99 \(.p9999) ns"' "$WORK/row")"
                done
            done
        done
    done
    jq -s --arg date "$(date -u +%FT%TZ)" '{$date, latencies: .}' "$WORK/rows" > "$out/latency.json"
    {
        echo "case load_% frames/s runs who p50_ns p99_ns p99.99_ns"
        jq -r 'def median: sort | .[(length - 1) / 2 | floor];
            .latencies | group_by([.case, .share, .who])[]
            | [.[0].case, .[0].share, .[0].rate, length, .[0].who, (map(.p50) | median), (map(.p99) | median), (map(.p9999) | median)] | join(" ")' "$out/latency.json"
    } | awk '{ printf "%-36s", $1; for (i = 2; i <= NF; i++) printf "%12s", $i; print "" }'
}

# pauses: the JVM stops all threads at safepoints; its log says for how long.
pauses() {
    split "${chosen[0]}"
    MYPERVISOR_JAVA_OPTS="-Xlog:safepoint:file=$out/safepoints.log" start ours --latency --rate "$(jq '[.latencies[] | select(.share == 50)][0].rate' "$out/latency.json")"
    # Those of the start are not of interest.
    : > "$out/safepoints.log"
    let_take_turns 1 60000 "$LEAD" ours
    end ours
    awk '{ for (i = 1; i < NF; i++) if ($i == "Total:") { n++; if ($(i + 1) > most) most = $(i + 1) } }
        END { printf "safepoints in a minute at 50 %%: %d, the longest stopped all threads for %.0f us\n", n, most / 1000 }' "$out/safepoints.log"
}

if [[ $latency == yes ]]; then latencies; pauses; else speeds; fi
