#!/usr/bin/env bash
# Shows what Mypervisor does for a middlebox VM: the same traffic through the same VM under three offload policies.
#
# demo.sh [--out DIR] [--machine microvm|pci] [--mypervisor LAUNCHER]
#
#   --out DIR               where demo.json and the logs go; default target/demo of the project
#   --machine microvm|pci   of the guests; default microvm
#   --mypervisor LAUNCHER   uses this one instead of building the project
#
# Installs what is missing (install.sh), builds the project and the guest image, and boots three guests: a client, a
# server, and between them a middlebox, a Linux bridge with a firewall. Each policy is a new run of the back-end; the
# guests go on. After the installation and the build it takes two to three minutes on two CPUs without KVM. ACCEL=kvm|tcg overrides the accelerator.
#
# demo.json: {"accelerator", "policies": [{
#   "policy"                  "none": the VM does all; "filter": the host judges, the VM forwards; "filter+wire": the host does all
#   "sent"                    = "allowed_sent" + "denied_sent": counted frames, UDP and frames that the rules deny, both directions
#   "allowed"                 allowed ones that arrived
#   "denied_host"             denied ones that the back-end dropped
#   "denied_guest"            denied ones that the middlebox guest's own firewall dropped
#   "denied_delivered"        denied ones that arrived all the same
#   "guest_interrupts"        which the middlebox guest's NICs raised, over all traffic of this policy
#   "ping_ms"                 {"median", "p99"}: client to server and back
#   "tcp_mbit"                client to server, as the server measured it
#   "host_cpu_us_per_packet"  CPU time (user and system, all threads) of the back-end and of the middlebox guest's QEMU while
#                             the counted frames ran, divided by "sent"
# }]}
# Ends with status 1 when one of these is not as the policy promises.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Of one direction. The rate is far below what the slowest policy carries when everything is emulated on two CPUs. Three
# frames in five are denied, a quarter of them by each rule.
rate=2000 length=256 port=7000
kinds=("udp/$port=8000" udp/53=3000 tcp/23=3000 "udp/$port@192.0.2.9=3000" ether/0x88b5=3000)
tcp_megabytes=200 pings=300
client_ip=10.77.0.1 server_ip=10.77.0.2

out=$ROOT/target/demo machine=microvm build=yes
while (($#)); do
    case $1 in
        --help | -h) usage; exit ;;
        --*) value "$1" $# ;;&
        --out) out=$2 ;;
        --machine) machine=$2 ;;
        --mypervisor) MYPERVISOR=$2 build=no ;;
        *) wrong_option "unknown option $1" ;;
    esac
    shift 2
done

prepare() {
    in_turn "$SCRIPTS/install.sh"
    mkdir -p "$out"
    out=$(cd "$out" && pwd)
    rm -f "$out"/demo.json "$out"/*.log
    if [[ $build == yes ]]; then
        progress "building the project (Maven fetches libraries when it is the first time)"
        (cd "$ROOT" && exec mvn -q -B -DskipTests package) > "$out/build.log" 2>&1 &
        started $!
        still_running $! "building" || { tail -n 30 "$out/build.log" >&2; die "the build failed (all of it in $out/build.log)"; }
    fi
    [[ -x $MYPERVISOR ]] || die "$MYPERVISOR is not there; leave --mypervisor out to build it"
    in_turn "$SCRIPTS/build-guest-image.sh" > "$WORK/image"
    { read -r kernel; read -r initrd; } < "$WORK/image"
}

start_backend() { # start_backend POLICY
    local offload id ports=()
    case $1 in
        none) offload=none ;;
        filter) offload="filter(rules=$SCRIPTS/demo.rules)" ;;
        filter+wire) offload="filter(rules=$SCRIPTS/demo.rules)+wire" ;;
    esac
    for id in client server fw-in fw-out; do ports+=(--port "id=$id,type=vhost-user,path=$WORK/$id.sock"); done
    backend_start "$WORK/control" "$out/backend-$1.log" "${ports[@]}" \
        --middlebox "id=fw,inside=client:fw-in,outside=server:fw-out,offload=$offload"
}

boot_guests() {
    local name
    # Rings long enough for the moments in which a guest gets no CPU.
    local image=(--kernel "$kernel" --initrd "$initrd" --machine "$machine") ring=rx_queue_size=1024,tx_queue_size=1024
    guest_start client "${image[@]}" --nic "$WORK/client.sock,$ring"
    guest_start server "${image[@]}" --nic "$WORK/server.sock,$ring"
    guest_start middlebox "${image[@]}" --nic "$WORK/fw-in.sock,$ring" --nic "$WORK/fw-out.sock,$ring"
    for name in client server middlebox; do guest_wait "$name"; done

    client_mac=$(guest_run client 'cat /sys/class/net/nic0/address')
    server_mac=$(guest_run server 'cat /sys/class/net/nic0/address')
    # Fixed neighbours: no ARP between the counted frames.
    guest_must client "ip addr add $client_ip/24 dev nic0 && ip link set nic0 up && arp -s $server_ip $server_mac"
    guest_must server "ip addr add $server_ip/24 dev nic0 && ip link set nic0 up && arp -s $client_ip $client_mac
        traffic tcp-sink 5001 > /tmp/sink 2>&1 &"
    # The bridge sends nothing of its own: no spanning tree (the default), no multicast snooping.
    guest_must middlebox "modprobe bridge && brctl addbr br0 && cd /sys/class/net/br0/bridge &&
        echo 0 > forward_delay && echo 0 > multicast_snooping &&
        for nic in nic0 nic1; do brctl addif br0 \$nic && ip link set \$nic up || exit; done &&
        ip link set br0 up && nft -f - << 'END'
$(< "$SCRIPTS/demo.nft")
END"
}

path_carries() { guest_run client "ping -c 1 -W 1 $server_ip"; }
host_denied() { backend_stats "$WORK/control" | jq '[.paths[].drops.denied // 0] | add'; }
guest_denied() { guest_run middlebox "nft list ruleset | awk '/counter packets/ { for (i = 1; i < NF; i++) if (\$i == \"packets\") n += \$(i + 1) } END { print n + 0 }'"; }

start_counting() { # in guest $1
    guest_must "$1" "traffic count nic0 $port > /tmp/count 2>&1 & echo \$! > /tmp/count.pid
        until grep -qs counting /tmp/count; do usleep 20000; done"
}
stop_counting() { # in guest $1; prints what it counted
    guest_must "$1" "pid=\$(cat /tmp/count.pid); kill \$pid; while [ -d /proc/\$pid ]; do usleep 20000; done; cat /tmp/count"
}
# Index 0 is the allowed kind; a frame that arrives twice counts as arrived once, and any frame missed by the counter makes the numbers void.
total() { awk -v allowed="$1" '/^[0-9]/ && ($1 == 0) == allowed { n += $'"$2"' } END { print n + 0 }' "${@:3}"; }

busy_us() { # CPU time of back-end and middlebox guest so far
    local backend guest
    backend=$(cpu_us "$BACKEND")
    guest=$(cpu_us "$(guest_pid middlebox)")
    echo $((backend + guest))
}

counters() { # counters ARRAY: interrupts in the middlebox guest, frames denied by the host, frames denied by the guest, so far
    local interrupts host guest
    interrupts=$(guest_interrupts middlebox)
    host=$(host_denied)
    guest=$(guest_denied)
    read -r -a "$1" <<< "$interrupts $host $guest"
}

measure() { # measure POLICY: runs the traffic, writes $WORK/POLICY.json
    local policy=$1 folder=$WORK/results-$1 from to
    mkdir "$folder"
    until_true 30 ports_up "$WORK/control" || { backend_stats "$WORK/control" >&2; die "$policy: not all ports came up (their states are above)"; }
    until_true 30 path_carries || die "$policy: no way from client to server; see $out/backend-$policy.log"
    sleep 1 # for what follows a reconnection

    local before after
    counters before

    progress "$policy: TCP, $tcp_megabytes MB"
    in_turn guest_run client "traffic tcp-send $server_ip 5001 $tcp_megabytes" 120 > "$folder/tcp" ||
        die "$policy: TCP failed: $(cat "$folder/tcp")"
    progress "$policy: $pings pings"
    in_turn guest_run client "ping -c $pings -i 0.01 $server_ip | sed -n 's/.*time=\([0-9.]*\) ms/\1/p' | sort -n |
        awk '{ t[NR] = \$1 } END { if (!NR) exit 1; print t[int((NR + 1) / 2)], t[int(NR * 0.99 + 0.5)], NR }'" > "$folder/ping" ||
        die "$policy: no answer to pings"

    progress "$policy: counted frames, $rate/s each way"
    start_counting client
    start_counting server
    from=$(busy_us)
    guest_run client "traffic send nic0 $server_mac $client_ip $server_ip $rate $length ${kinds[*]}" > "$folder/client.sent" &
    local sending=$!
    started "$sending"
    in_turn guest_run server "traffic send nic0 $client_mac $server_ip $client_ip $rate $length ${kinds[*]}" > "$folder/server.sent" ||
        die "$policy: the server could not send: $(cat "$folder/server.sent")"
    wait "$sending" || die "$policy: the client could not send: $(cat "$folder/client.sent")"
    stop_process "$sending"
    sleep 0.5 # the last ones are on their way
    to=$(busy_us)
    stop_counting client > "$folder/client.counted"
    stop_counting server > "$folder/server.counted"
    local missed
    missed=$(awk '$1 == "missed" { n += $2 } END { print n + 0 }' "$folder"/*.counted)
    ((missed == 0)) || die "$policy: the counters missed $missed frames; is this machine overloaded?"

    counters after
    jq -n --arg policy "$policy" \
        --argjson allowed_sent "$(total 1 3 "$folder"/*.sent)" --argjson denied_sent "$(total 0 3 "$folder"/*.sent)" \
        --argjson allowed "$(total 1 2 "$folder"/*.counted)" --argjson denied_delivered "$(total 0 2 "$folder"/*.counted)" \
        --argjson denied_host $((after[1] - before[1])) --argjson denied_guest $((after[2] - before[2])) \
        --argjson guest_interrupts $((after[0] - before[0])) \
        --arg ping "$(< "$folder/ping")" --arg tcp "$(< "$folder/tcp")" --argjson cpu $((to - from)) \
        '($ping / " " | map(tonumber)) as $ping | ($allowed_sent + $denied_sent) as $sent
        | {$policy, $sent, $allowed_sent, $allowed, $denied_sent, $denied_host, $denied_guest, $denied_delivered, $guest_interrupts,
           ping_ms: {median: $ping[0], p99: $ping[1]}, tcp_mbit: ($tcp / " " | .[0] | tonumber),
           host_cpu_us_per_packet: ($cpu / $sent * 10 | round / 10)}' > "$WORK/$policy.json"
}

table() {
    {
        echo "policy sent allowed denied denied denied interrupts ping ping TCP host_CPU"
        echo "- - arrived by_host by_VM delivered in_VM median_ms p99_ms Mbit/s us/packet"
        jq -r '.policies[] | [.policy, .sent, "\(.allowed)/\(.allowed_sent)", .denied_host, .denied_guest, "\(.denied_delivered)/\(.denied_sent)",
            .guest_interrupts, .ping_ms.median, .ping_ms.p99, .tcp_mbit, .host_cpu_us_per_packet] | join(" ")' "$out/demo.json"
    } | awk '{ printf "%-12s", $1 == "-" ? "" : $1; for (i = 2; i <= NF; i++) printf "%12s", $i == "-" ? "" : $i; print "" }' | tr _ ' '
}

# What each policy promises; prints what was not kept.
broken_promises() {
    jq -r '.policies[] | . as $p
        | (select($p.allowed != $p.allowed_sent) | "\($p.policy): \($p.allowed) of \($p.allowed_sent) allowed frames arrived"),
          (select($p.denied_delivered != 0) | "\($p.policy): \($p.denied_delivered) denied frames arrived"),
          (select($p.policy == "none" and $p.denied_host != 0) | "none: the host dropped \($p.denied_host) denied frames, and should drop none"),
          (select($p.policy == "none" and $p.denied_guest != $p.denied_sent)
            | "none: the VM dropped \($p.denied_guest) of \($p.denied_sent) denied frames, and should drop all"),
          (select($p.policy != "none" and $p.denied_guest != 0) | "\($p.policy): the VM dropped \($p.denied_guest) denied frames, and should see none"),
          (select($p.policy != "none" and $p.denied_host != $p.denied_sent)
            | "\($p.policy): the host dropped \($p.denied_host) of \($p.denied_sent) denied frames, and should drop all"),
          (select($p.policy == "filter+wire" and $p.guest_interrupts > 5)
            | "filter+wire: the VM took \($p.guest_interrupts) interrupts, and should take at most 5")' "$out/demo.json"
}

keep_logs() { # of the guests; end_work calls it when something went wrong
    local name
    for name in client server middlebox; do
        [[ ! -f $WORK/$name/console.log ]] || cat "$WORK/$name"/{qemu,console}.log > "$out/guest-$name.log"
    done
}

begin_work
prepare
since=$SECONDS
accel=$(accelerator)
policies=(none filter filter+wire)
for policy in "${policies[@]}"; do
    progress "$policy: starting the back-end"
    start_backend "$policy"
    if [[ $policy == none ]]; then
        progress "booting client, server and middlebox ($machine, $accel)"
        boot_guests
    fi
    measure "$policy"
    backend_stop || die "$policy: the back-end did not end on SIGTERM"
done
for policy in "${policies[@]}"; do cat "$WORK/$policy.json"; done |
    jq -s --arg accelerator "$accel" '{$accelerator, policies: .}' > "$out/demo.json"
progress "done, $((SECONDS - since)) s after the build; accelerator $accel; numbers in $out/demo.json"
table
broken=$(broken_promises)
[[ -z $broken ]] || die "not as promised:
$broken"
