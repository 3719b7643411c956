#!/usr/bin/env bash
# Measures what Mypervisor saves: the same traffic through the same middlebox VM, over bridges and taps and over Mypervisor.
#
# experiment.sh [--full | --quick] [--only LIST] [--rounds N] [--rate PPS] [--out DIR] [--mypervisor LAUNCHER]
#
#   --full                  besides the short grid, every size, share of denied traffic and chain length with each other under every
#                           kind of traffic, once: about 15 minutes more
#   --quick                 every arrangement once, for moments: shows within two minutes that all of them work
#   --only LIST             only these arrangements, with commas between; default all of them, in this order:
#                             traditional   bridge, tap, QEMU's own virtio-net, guest, and back
#                             none          Mypervisor in the place of bridge and tap; the guest does all
#                             filter        Mypervisor judges, the guest forwards
#                             filter+wire   Mypervisor judges and forwards; the guest sees nothing
#                             tap-echo      as traditional, but a program that only copies in the place of QEMU and guest:
#                                           what a guest that costs nothing would need
#                             kernel        as traditional, but a bridge in a network namespace in the place of QEMU and guest
#                             baseline      one bridge and no middlebox: what the end points themselves need
#   --rounds N              of the measurements; the arrangements take turns within each; default 3 (1 with --quick). TCP as fast
#                           as it goes through one middlebox, which scatters most, has 7 for 3
#   --rate PPS              of paced frames; default 40 % of what the slowest of the arrangements carries
#   --out DIR               where experiment.json, the report and the logs go; default target/experiment of the project
#   --mypervisor LAUNCHER   uses this one instead of building the project
#
# For root only, as it makes network namespaces: one for the client, one for the server, and one in the place of the host,
# in which the bridges are and QEMU and Mypervisor run. So it touches none of this machine's interfaces, bridges, firewall
# rules and settings, and all is gone when the script has ended, however it ended. Installs what is missing (install.sh
# --with-experiment), and builds the project and the guest image.
#
# Each arrangement joins client and server by a veth pair on either side. A chain is so many middleboxes one behind the
# other. All run at the same time and only one carries traffic; the middlebox guests have two NICs for each arrangement.
# Traffic: udp (a share of it to port 53, which the middlebox denies), tcp (one connection under cubic), http (wrk and nginx,
# 1 KiB a reply), ping. "paced" is a rate that each arrangement carries without loss; else as fast as it goes: udp with at most 256
# frames under way. Paced udp goes in turns of 50 ms through the arrangement and through the baseline, so that what slows down
# the machine slows down both; filter+wire has four times as many turns, because what it adds is small beside what the end points
# need. "offloads off" means those of the end points' interfaces: each frame leaves them finished, with
# its checksum, and at most 1514 bytes long. Needs about 15 minutes on two CPUs without KVM, after installation and build.
# ACCEL=kvm|tcg overrides the accelerator.
#
# Nothing else should run meanwhile: "system" below is of the whole machine. "background_cpus" of "machine" says how many CPUs
# were busy before any guest ran; on a quiet machine a run that something else disturbed is repeated, at most twice. Each idle
# guest takes some 2 % of a CPU when it is emulated, in the baseline's runs as in the others.
#
# experiment.json: {"date", "grid", "seconds", "machine", "commands", "runs": [{
#   "arrangement", "chain", "traffic", "paced", "pace", "frame_bytes", "offloads", "denied_share", "round"    what was measured
#   "asked_pps"                   frames a second that paced udp was to be sent at
#   "tries"                       1, or more where the run was repeated: paced frames were lost, their sender was held up, or the
#                                 machine was busy
#   "seconds"                     the measured interval; of paced udp, how long this arrangement was sent to
#   "send_seconds"                how long udp was sent
#   "sent", "delivered", "denied_delivered"  frames (udp), requests (http), echo requests (ping)
#   "bytes"                       frames' bytes that arrived (udp), the application's (tcp, http)
#   "mbit", "pps", "requests_per_s"
#   "latency_us"                  {"median", "p99"}: client to server (udp), a request's (http), there and back (ping)
#   "guest_interrupts"            which the NICs of the middlebox guests raised
#   "kicks", "calls", "worker"    Mypervisor's counters, {"packets", "busy_ns", "bursts"} of its workers
#   "cpu_s"                       {"system": time of all CPUs that were not idle, "baseline": the same of the baseline's turns, or
#                                 its run, with this traffic, for as many frames, bytes or requests; "net": the difference; and
#                                 where it was spent: "qemu", "mypervisor", "echo", "endpoints" (processes), "softirq"}
# }]}; what an arrangement does not have is null. Ends with status 1 when denied traffic arrives, or damaged, or paced
# traffic does not arrive.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

readonly ALL=(traditional none filter filter+wire tap-echo kernel baseline)
readonly POLICIES=(none filter filter+wire)
readonly HTTP_PORT=8080 HTTP_BYTES=1024 HTTP_CONNECTIONS=16 PING_RATE=200
# What the slowest arrangement carries, by this.
readonly PACE=0.4

arguments=("$@")
out=$ROOT/target/experiment grid=short only='' rounds='' rate='' build=yes
while (($#)); do
    case $1 in
        --help | -h) usage; exit ;;
        --full) grid=full; shift; continue ;;
        --quick) grid=quick; shift; continue ;;
        --*) value "$1" $# ;;&
        --only) only=$2 ;;
        --rounds) rounds=$2 ;;
        --rate) rate=$2 ;;
        --out) out=$2 ;;
        --mypervisor) MYPERVISOR=$2 build=no ;;
        *) wrong_option "unknown option $1" ;;
    esac
    shift 2
done
[[ -z $rounds || $rounds =~ ^[1-9][0-9]?$ ]] || wrong_option "--rounds $rounds: must be 1 to 99"
[[ -z $rate || $rate =~ ^[1-9][0-9]{0,6}$ ]] || wrong_option "--rate $rate: must be a number of frames a second"
[[ -n $rounds ]] || { if [[ $grid == quick ]]; then rounds=1; else rounds=3; fi; }
arrangements=()
if [[ -n $only ]]; then
    IFS=, read -ra wanted <<< "$only"
    for name in "${wanted[@]}"; do
        [[ " ${ALL[*]} " == *" $name "* ]] || wrong_option "--only $name: there are ${ALL[*]}"
    done
fi
for name in "${ALL[@]}"; do
    [[ -n $only && ",$only," != *",$name,"* ]] || arrangements+=("$name")
done
((EUID == 0)) || die "only root can make network namespaces and taps; run it with sudo"

# ---- the grid ----
# A cell is "CHAIN TRAFFIC PACED FRAME_BYTES OFFLOADS DENIED_SHARE ROUNDS [OTHERS [vms]]", "-" for what does not apply. PACED is
# "paced", a fraction or multiple of that rate, or "fast". OTHERS is how many rounds there are of all but filter+wire, whose small cost
# scatters most. With "vms" only arrangements with a VM are measured: what the cost model needs.
cells=() seconds=1
make_short_grid() {
    local chain traffic size share paced others=$(((2 * rounds + 2) / 3))
    for chain in 4 3 2; do
        cells+=("$chain udp paced 64 on 0 $rounds $others")
        for traffic in "tcp fast -" "ping paced -"; do cells+=("$chain $traffic on 0 $(((rounds + 2) / 3))"); done
    done
    cells+=("1 udp paced 64 on 0 $rounds")
    for size in 512 1514; do cells+=("1 udp paced $size on 0 $rounds $others"); done
    for share in 0.5 0.9 1; do cells+=("1 udp paced 64 on $share $rounds $others"); done
    # How many frames an interrupt or a wake-up serves depends on the rate.
    for paced in paced/2 "paced*2" "paced*4"; do cells+=("1 udp $paced 64 on 0 $rounds $others vms"); done
    # Two parameters changed at a time: for the model to be judged by.
    cells+=("4 udp paced/2 64 on 0 $rounds $others vms" "2 udp paced/2 64 on 0 $rounds $others vms"
        "1 udp paced*2 1514 on 0 $rounds $others vms" "1 udp paced*2 64 on 0.5 $rounds $others vms")
    cells+=("1 udp fast 64 on 0 $rounds" "1 tcp paced - on 0 $rounds" "1 tcp fast - on 0 $((2 * rounds + 1))" "1 tcp fast - off 0 $others"
        "1 http fast - on 0 $rounds" "1 ping paced - on 0 $rounds")
}

make_grid() {
    local chain size share paced
    case $grid in
        quick)
            seconds=0.4
            cells+=("2 udp paced 64 on 0.5 1" "1 udp paced 64 on 0 1" "1 udp fast 64 on 0 1" "1 tcp paced - on 0 1" "1 tcp fast - on 0 1"
                "1 http fast - on 0 1" "1 ping paced - on 0 1")
            ;;
        short) make_short_grid ;;
        full)
            make_short_grid
            for chain in 4 3 2 1; do
                for size in 64 512 1514; do
                    for share in 0 0.5 0.9 1; do
                        for paced in paced fast; do
                            # Without a frame that arrives there is nothing to tell how fast it goes.
                            [[ $share$paced == 1fast ]] || add_cell "$chain udp $paced $size on $share"
                        done
                    done
                done
                for paced in paced fast; do
                    add_cell "$chain tcp $paced - on 0"
                    add_cell "$chain tcp $paced - off 0"
                done
                add_cell "$chain http fast - on 0"
                add_cell "$chain ping paced - on 0"
            done
            ;;
    esac
}

add_cell() { # add_cell CELL-WITHOUT-ROUNDS: once, unless the grid has it
    [[ " ${cells[*]} " == *" $1 "* ]] || cells+=("$1 1")
}

selected() { [[ " ${arrangements[*]} " == *" $1 "* ]]; }
index_of() { # of an arrangement, in names and addresses
    local i
    for i in "${!ALL[@]}"; do [[ ${ALL[i]} != "$1" ]] || echo "$i"; done
}

# ---- before the namespaces: on this machine itself ----

prepare() {
    begin_work
    in_turn "$SCRIPTS/install.sh" --with-experiment
    mkdir -p "$out"
    if [[ $build == yes ]]; then
        progress "building the project (Maven fetches libraries when it is the first time)"
        (cd "$ROOT" && exec mvn -q -B -DskipTests package) > "$out/build.log" 2>&1 &
        started $!
        still_running $! "building" || { tail -n 30 "$out/build.log" >&2; die "the build failed (all of it in $out/build.log)"; }
    fi
    [[ -x $MYPERVISOR ]] || die "$MYPERVISOR is not there; leave --mypervisor out to build it"
    in_turn "$SCRIPTS/build-guest-image.sh" > "$WORK/image"
    { read -r kernel; read -r initrd; } < "$WORK/image"
    rm -rf "$WORK"
    trap - EXIT
}

if [[ -z ${EXPERIMENT_IMAGE:-} ]]; then
    prepare
    EXPERIMENT_IMAGE=$kernel:$initrd EXPERIMENT_SECONDS=$SECONDS exec unshare --net --mount -- "$BASH" "$0" "${arguments[@]}"
fi
# From here this is another network and mount namespace.
IFS=: read -r kernel initrd <<< "$EXPERIMENT_IMAGE"
SECONDS=${EXPERIMENT_SECONDS:-0}
unset EXPERIMENT_IMAGE EXPERIMENT_SECONDS

# ---- the network ----
# Names are of devices in namespaces of this run only. Arrangement K has the veth pairs cK-hcK (client) and sK-hsK (server),
# and 10.78.K.1 and 10.78.K.2. A middlebox I of it has the devices pKIa and pKIb towards client and server on the host's side.

quiet_namespace() { # runs in it: nothing is sent that no end point sends, and no firewall but ours is asked
    local file
    for file in all default; do echo 1 > "/proc/sys/net/ipv6/conf/$file/disable_ipv6"; done
    for file in /proc/sys/net/bridge/bridge-nf-call-*; do [[ ! -e $file ]] || echo 0 > "$file"; done
    ip link set lo up
}
in_namespace() { ip netns exec "$@"; }
add_namespace() { # add_namespace NAME
    ip netns add "$1"
    in_namespace "$1" "$BASH" -c "$(declare -f quiet_namespace); quiet_namespace"
}
add_bridge() { # add_bridge NAME [NAMESPACE-OPTION...]
    ip "${@:2}" link add "$1" type bridge stp_state 0 forward_delay 0 mcast_snooping 0
    ip "${@:2}" link set dev "$1" up
}
join_bridge() { ip "${@:3}" link set dev "$1" master "$2" up; } # join_bridge DEVICE BRIDGE [NAMESPACE-OPTION...]
firewall() { in_namespace "$1" nft -f "$SCRIPTS/demo.nft"; }

mac() { printf '02:4d:79:00:%02x:%02x' "$1" "$2"; } # mac ARRANGEMENT END

add_end() { # add_end ARRANGEMENT END NAMESPACE LETTER [NAMESPACE-OF-THE-OTHER-END]: END is 1 for the client, 2 for the server
    local k=$1 end=$2 namespace=$3 device=$4$1
    ip link add "$device" netns "$namespace" address "$(mac "$k" "$end")" txqueuelen 10000 type veth peer name "h$device" netns "${5:-$$}"
    ip -n "$namespace" addr add "10.78.$k.$end/24" dev "$device"
    ip -n "$namespace" link set dev "$device" up
    ip ${5:+-n "$5"} link set "h$device" up
    # Fixed neighbours: no ARP between the frames.
    ip -n "$namespace" neigh add "10.78.$k.$((3 - end))" lladdr "$(mac "$k" $((3 - end)))" dev "$device" nud permanent
}

add_tap() { ip tuntap add dev "$1" mode tap vnet_hdr; ip link set dev "$1" txqueuelen 10000 up; }

build_network() {
    local name k i side
    mkdir -p /run/netns
    mount -t tmpfs netns /run/netns # ours alone: namespaces of other runs may have the same names
    quiet_namespace
    add_namespace client
    add_namespace server
    for name in "${arrangements[@]}"; do
        k=$(index_of "$name")
        if [[ $name == baseline ]]; then
            add_namespace box
            add_end "$k" 1 client c box
            add_end "$k" 2 server s box
            add_bridge br0 -n box
            join_bridge "hc$k" br0 -n box
            join_bridge "hs$k" br0 -n box
            continue
        fi
        add_end "$k" 1 client c
        add_end "$k" 2 server s
        for ((i = 1; i <= longest; i++)); do
            case $name in
                traditional) add_tap "p$k${i}a"; add_tap "p$k${i}b" ;;
                tap-echo)
                    add_tap "p$k${i}a"
                    add_tap "p$k${i}b"
                    "$WORK/tap-echo" "p$k${i}a" "p$k${i}b" < /dev/null >> "$out/tap-echo.log" 2>&1 &
                    started $!
                    echo_pids+=($!)
                    ;;
                kernel)
                    add_namespace "box$i"
                    firewall "box$i"
                    add_bridge br0 -n "box$i"
                    for side in a b; do
                        ip link add "p$k$i$side" txqueuelen 10000 type veth peer name "$side" netns "box$i"
                        ip link set "p$k$i$side" up
                        join_bridge "$side" br0 -n "box$i"
                    done
                    ;;
            esac
        done
    done
}

# join_chain ARRANGEMENT LENGTH: client's veth - bridge - middlebox 1 - bridge - ... - bridge - server's veth
join_chain() {
    local k=$1 length=$2 i
    for ((i = 0; i <= longest; i++)); do ip link del "br$k$i" 2> /dev/null || true; done
    for ((i = 0; i <= length; i++)); do
        add_bridge "br$k$i"
        if ((i == 0)); then join_bridge "hc$k" "br$k$i"; else join_bridge "p$k${i}b" "br$k$i"; fi
        if ((i == length)); then join_bridge "hs$k" "br$k$i"; else join_bridge "p$k$((i + 1))a" "br$k$i"; fi
    done
}

set_offloads() { # set_offloads on|off: of all the end points' interfaces
    [[ $1 != "$offloads" ]] || return 0
    local name k client=() server=()
    for name in "${arrangements[@]}"; do
        k=$(index_of "$name")
        client+=("c$k") server+=("s$k")
    done
    "$WORK/endpoints" offloads /run/netns/client "$1" "${client[@]}"
    "$WORK/endpoints" offloads /run/netns/server "$1" "${server[@]}"
    offloads=$1
}

# The baseline has no middlebox, but what the others' middlebox denies must not reach the server, or it would cost it something.
set_baseline_firewall() { # set_baseline_firewall DENIED_SHARE
    selected baseline || return 0
    in_namespace box nft flush ruleset
    [[ $1 == 0 ]] || firewall box
}

start_nginx() {
    mkdir -p "$WORK/www"
    head -c "$HTTP_BYTES" /dev/zero | tr '\0' m > "$WORK/www/index.html"
    cat > "$WORK/nginx.conf" << END
daemon off;
master_process off;
pid $WORK/nginx.pid;
error_log stderr error;
events { worker_connections 1024; }
http {
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path $WORK/www;
    proxy_temp_path $WORK/www;
    fastcgi_temp_path $WORK/www;
    uwsgi_temp_path $WORK/www;
    scgi_temp_path $WORK/www;
    server { listen $HTTP_PORT; root $WORK/www; }
}
END
    ip netns exec server nginx -p "$WORK" -e stderr -c "$WORK/nginx.conf" < /dev/null >> "$out/nginx.log" 2>&1 &
    nginx=$!
    started "$nginx"
    sleep 0.5
    alive "$nginx" || { cat "$out/nginx.log" >&2; die "nginx does not start (its message is above)"; }
}

# ---- guests and back-ends ----

has_vm() { case $1 in traditional | none | filter | filter+wire) return 0 ;; *) return 1 ;; esac; }
is_policy() { [[ " ${POLICIES[*]} " == *" $1 "* ]]; }

# As in lib.sh, but without a JVM of its own each time.
backend_stats() { "$WORK/endpoints" stats "$1"; }

start_back_end() { # start_back_end POLICY CHAIN
    # A frame waits while a guest gets no CPU, as it would in the queue of a tap.
    local policy=$1 chain=$2 k i filter="filter(rules=$SCRIPTS/demo.rules)" elements='' wait=wait=100 options=()
    k=$(index_of "$policy")
    options=(--port "id=in,type=af_packet,ifname=hc$k,$wait" --port "id=out,type=af_packet,ifname=hs$k,$wait")
    for ((i = 1; i <= chain; i++)); do
        options+=(--port "id=fw$i-in,type=vhost-user,path=$WORK/p$k${i}a,$wait")
        options+=(--port "id=fw$i-out,type=vhost-user,path=$WORK/p$k${i}b,$wait")
    done
    if ((chain == 1)); then
        case $policy in
            filter) elements=$filter ;;
            filter+wire) elements=$filter+wire ;;
        esac
        options+=(--middlebox "id=fw,inside=in:fw1-in,outside=out:fw1-out,offload=${elements:-none}")
    else
        # What one --middlebox after the other would be, were ports between them not those of guests.
        case $policy in
            filter | filter+wire) elements=" -> $filter" ;;
        esac
        if [[ $policy == filter+wire ]]; then
            local all=''
            for ((i = 1; i <= chain; i++)); do all+=$elements; done
            options+=(--path "in$all -> out" --path "out$all -> in")
        else
            options+=(--path "in$elements -> fw1-in" --path "out$elements -> fw$chain-out")
        fi
        options+=(--path "fw1-in -> in" --path "fw$chain-out -> out")
        for ((i = 1; i < chain; i++)); do
            # Under +wire the guests are joined too, and nothing comes their way.
            options+=(--path "fw$i-out$elements -> fw$((i + 1))-in" --path "fw$((i + 1))-in$elements -> fw$i-out")
        done
    fi
    backend_start "$WORK/control$k" "$out/mypervisor-$policy.log" "${options[@]}"
    back_ends[$policy]=$BACKEND
}

boot_guest() { # boot_guest I: middlebox I of every chain, with two NICs for each arrangement
    local i=$1 name k side nics=()
    for name in "${arrangements[@]}"; do
        has_vm "$name" || continue
        k=$(index_of "$name")
        for side in a b; do
            # QEMU gives a tap's NIC at most 256 descriptors to send with; so all have as many.
            if [[ $name == traditional ]]; then nics+=(--nic "tap:p$k$i$side,rx_queue_size=1024")
            else nics+=(--nic "$WORK/p$k$i$side,rx_queue_size=1024,tx_queue_size=256"); fi
        done
    done
    guest_start "fw$i" --kernel "$kernel" --initrd "$initrd" --mem 256 "${nics[@]}"
}

set_up_guest() { # set_up_guest I: a bridge for each arrangement, and the firewall
    guest_wait "fw$1"
    guest_must "fw$1" "modprobe bridge && bridge=0
        while [ -e /sys/class/net/nic\$((2 * bridge)) ]; do
            brctl addbr br\$bridge && echo 0 > /sys/class/net/br\$bridge/bridge/forward_delay &&
            echo 0 > /sys/class/net/br\$bridge/bridge/multicast_snooping || exit
            for nic in nic\$((2 * bridge)) nic\$((2 * bridge + 1)); do
                brctl addif br\$bridge \$nic && ip link set \$nic up || exit
            done
            ip link set br\$bridge up || exit
            bridge=\$((bridge + 1))
        done
        nft -f - << 'END'
$(< "$SCRIPTS/demo.nft")
END"
}

# begin_chain LENGTH: lengths only ever become shorter.
begin_chain() {
    local chain=$1 name i
    progress "chain of $chain: joining it"
    for i in "${!guests[@]}"; do
        if ((i > chain)); then
            guest_stop "fw$i" || true
            unset "guests[$i]"
        fi
    done
    for name in "${arrangements[@]}"; do
        case $name in
            traditional | tap-echo | kernel) join_chain "$(index_of "$name")" "$chain" ;;
            none | filter | filter+wire)
                [[ -z ${back_ends[$name]:-} ]] || stop_process "${back_ends[$name]}" || die "$name: the back-end did not end on SIGTERM"
                start_back_end "$name" "$chain"
                ;;
        esac
    done
    if ((guest_needed && ${#guests[@]} == 0)); then
        progress "booting $chain middlebox guest(s) ($accel)"
        for ((i = 1; i <= chain; i++)); do boot_guest "$i"; done
        for ((i = 1; i <= chain; i++)); do
            set_up_guest "$i"
            guests[i]=$(guest_pid "fw$i")
        done
    fi
    for name in "${arrangements[@]}"; do
        ! is_policy "$name" || until_true 30 ports_up "$WORK/control$(index_of "$name")" ||
            { backend_stats "$WORK/control$(index_of "$name")" >&2; die "$name: not all ports came up (their states are above)"; }
    done
    for name in "${arrangements[@]}"; do
        until_true 30 way_carries "$name" || die "$name, chain of $chain: no way from client to server; see the logs in $out"
    done
}

way_carries() { endpoints "$1" ping 50 0.1 && [[ $(jq .delivered "$WORK/result") -gt 0 ]]; }

# ---- measuring ----

# endpoints ARRANGEMENT TRAFFIC ARGUMENT...: runs it, the result is in $WORK/result.
endpoints() {
    local name=$1 traffic=$2 k b options=(--json "$WORK/result") to=()
    k=$(index_of "$name")
    shift 2
    case $traffic in
        udp)
            to=("10.78.$k.1" "10.78.$k.2")
            # Paced frames go in turns with the baseline's: UDP's third argument is the rate.
            if [[ $name != baseline && $3 != 0 && $in_turns == yes ]]; then
                b=$(index_of baseline)
                options+=(--beside "10.78.$b.1,10.78.$b.2")
            fi
            ;;
        tcp | ping) to=("10.78.$k.2") ;;
        run) options+=(--watch "endpoints=$nginx") ;;
    esac
    if has_vm "$name" && ((${#guests[@]})); then options+=(--watch "qemu=$(IFS=,; echo "${guests[*]}")"); fi
    ! is_policy "$name" || options+=(--watch "mypervisor=${back_ends[$name]}" --stats "$WORK/control$k")
    [[ $name != tap-echo ]] || options+=(--watch "echo=$(IFS=,; echo "${echo_pids[*]}")")
    in_turn "$WORK/endpoints" "${options[@]}" "$traffic" /run/netns/client /run/netns/server "${to[@]}" "$@"
}

http() { # http ARRANGEMENT SECONDS: wrk counts whole seconds; its output is in $WORK/wrk
    local whole
    whole=$(awk -v s="$2" 'BEGIN { print s < 1 ? 1 : int(s + 0.5) }')
    endpoints "$1" run wrk --latency -t 1 -c "$HTTP_CONNECTIONS" -d "${whole}s" "http://10.78.$(index_of "$1").2:$HTTP_PORT/" > "$WORK/wrk"
}

# wrk_json: what wrk printed, in the terms of experiment.json.
wrk_json() {
    awk -v bytes="$HTTP_BYTES" '
        function us(text) { return text ~ /us$/ ? text + 0 : text ~ /ms$/ ? text * 1000 : text ~ /m$/ ? text * 6e7 : text * 1e6 }
        $1 == "50%" { median = us($2) }
        $1 == "99%" { p99 = us($2) }
        $2 == "requests" && $3 == "in" { n = $1 }
        /^Requests\/sec:/ { rate = $2 }
        /Socket errors:/ { gsub(/[^0-9 ]/, ""); for (i = 1; i <= NF; i++) bad += $i }
        /Non-2xx/ { bad += $NF }
        END { if (!n) exit 1
            printf "{\"sent\": %d, \"delivered\": %d, \"bytes\": %d, \"mbit\": %.3f, \"requests_per_s\": %s, \"latency_us\": {\"median\": %.1f, \"p99\": %.1f}}",
                n + bad, n, n * bytes, rate * bytes * 8 / 1e6, rate, median, p99 }' "$WORK/wrk"
}

# Between measurements nothing sends to a guest: what was read after one holds before the next.
interrupts_before=''
interrupts() { # of all the guests
    local i n sum=0
    for i in "${!guests[@]}"; do
        n=$(guest_interrupts "fw$i")
        sum=$((sum + n))
    done
    echo "$sum"
}

frames_a_second() { # frames_a_second PACED: 0 for as fast as it goes
    case $1 in
        fast) echo 0 ;;
        paced/*) echo $((rate / ${1#paced/})) ;;
        paced\**) echo $((rate * ${1#paced\*})) ;;
        paced) echo "$rate" ;;
    esac
}

send() { # send ARRANGEMENT TRAFFIC PACED FRAME_BYTES DENIED_SHARE SECONDS
    local name=$1 traffic=$2 paced=$3 size=$4 share=$5 seconds=$6 speed=0
    case $traffic in
        udp)
            speed=$(frames_a_second "$paced")
            # In turns with the baseline. What else the machine does is divided by fewer frames when they are slow.
            if [[ $paced != fast && $name != baseline && $in_turns == yes ]]; then
                seconds=$(awk -v seconds="$seconds" -v rate="$rate" -v speed="$speed" -v wire="$name" 'BEGIN {
                    print 1.2 * seconds * sqrt(rate / speed) * (wire == "filter+wire" ? 4 : 1) }')
            fi
            endpoints "$name" udp "$size" "$share" "$speed" "$seconds"
            ;;
        tcp) [[ $paced == fast ]] || speed=$tcp_rate; endpoints "$name" tcp "$speed" "$seconds" ;;
        ping) endpoints "$name" ping "$PING_RATE" "$seconds" ;;
        http) http "$name" "$seconds" ;;
    esac
}

# problem_of TRAFFIC PACED: why the run in $WORK/result should be repeated, if it should: paced frames are missing, their sender was
# held up, so that they were not sent at their rate, or a machine that had
# been quiet did something else meanwhile: CPU time that is neither the arrangement's nor the kernel's for its traffic.
problem_of() {
    local asked=0
    [[ $1 != udp || $2 == fast ]] || asked=$(frames_a_second "$2")
    jq -r --arg paced "$2" --argjson asked "$asked" --argjson quiet "$quiet" --argjson cpus "$(nproc)" '
        .cpu_s as $c | ($c.system - ($c.qemu // 0) - ($c.mypervisor // 0) - ($c.echo // 0) - $c.endpoints - ($c.softirq // 0)) as $other
        | if ($paced | startswith("paced")) and .sent != null and .delivered < .sent - (.sent_denied // 0)
          then "\(.delivered) of \(.sent - (.sent_denied // 0)) paced frames arrived"
          elif .beside and .beside.delivered < .beside.sent - .beside.sent_denied
          then "\(.beside.delivered) of \(.beside.sent - .beside.sent_denied) paced frames of the baseline arrived"
          elif $asked > 0 and .sent < 0.95 * $asked * (.send_seconds // .seconds) then "\(.sent / (.send_seconds // .seconds) | round) frames/s were sent instead of \($asked)"
          elif $quiet and $other > 0.15 * $cpus * .seconds then "busy with something else for \($other * 1000 | round) ms"
          else empty end' "$WORK/result"
}

measure() { # measure ARRANGEMENT ROUND CELL...: adds a run to $WORK/runs
    local name=$1 round=$2 chain=$3 traffic=$4 paced=$5 size=$6 offload=$7 share=$8 try before='' after='' http=null problem=''
    for try in 1 2 3; do
        if has_vm "$name"; then
            before=${interrupts_before:-$(interrupts)}
            interrupts_before=''
        fi
        if ! send "$name" "$traffic" "$paced" "$size" "$share" "$seconds"; then
            ((try < 3)) || die "$name, chain of $chain, $traffic: failed three times (the messages are above)"
            progress "$name, chain of $chain, $traffic: failed; once more"
            continue
        fi
        if has_vm "$name"; then
            after=$(interrupts)
            interrupts_before=$after
        fi
        [[ $traffic != http ]] || http=$(wrk_json) || { cat "$WORK/wrk" >&2; die "$name: no answers over HTTP (wrk's output is above)"; }
        problem=$(problem_of "$traffic" "$paced")
        [[ -n $problem ]] || break
        ((try == 3)) || progress "$name, chain of $chain, $traffic: $problem; once more"
    done
    if [[ $problem == busy* ]]; then
        disturbed=$((disturbed + 1))
        ((disturbed < 20)) || quiet=false # that will not change by repeating
    fi
    jq -c --arg arrangement "$name" --argjson round "$round" --argjson chain "$chain" --arg traffic "$traffic" --arg paced "$paced" \
        --argjson asked "$(if [[ $traffic.$paced == udp.paced* ]]; then frames_a_second "$paced"; else echo null; fi)" \
        --arg size "$size" --arg offloads "$offload" --argjson denied_share "$share" --arg before "$before" --arg after "$after" \
        --argjson http "$http" --argjson tries "$((try > 3 ? 3 : try))" '
        def sums(f): map([f] | add) | .[1] - .[0];
        . + ($http // {}) | . as $r | (.stats // null) as $stats
        | {$arrangement, $chain, $traffic, paced: ($paced | startswith("paced")), pace: $paced, asked_pps: $asked, frame_bytes: ($size | tonumber? // null), offloads: ($offloads == "on"),
           $denied_share, $round, $tries, seconds, send_seconds: (if $traffic == "udp" then .send_seconds // .seconds else null end), sent, delivered, denied_delivered, bytes, mbit, pps, requests_per_s, latency_us,
           guest_interrupts: (if $before == "" then null else ($after | tonumber) - ($before | tonumber) end),
           kicks: (if $stats then $stats | sums(.ports[].kicks) else null end),
           calls: (if $stats then $stats | sums(.ports[].calls) else null end),
           worker: (if $stats then {packets: ($stats | sums(.workers[].packets)), busy_ns: ($stats | sums(.workers[].busy_ns)),
                                    bursts: ($stats | sums(.workers[].bursts))} else null end),
           cpu_s: .cpu_s, beside: (if .beside then {sent: .beside.sent, cpu_s: .beside.cpu_s.system} else null end),
           wrong: ((.denied_delivered // 0) + (.beside.denied_delivered // 0) + (.duplicates // 0) + (.damaged // 0) + (.checksum_errors // 0) + (.socket_drops // 0)),
           allowed: (if .sent == null then null else .sent - (.sent_denied // 0) end)}' "$WORK/result" >> "$WORK/runs"
}

describe() { # describe CELL...
    local text="chain of $1, $2"
    [[ $4 == - ]] || text+=" of $4 bytes"
    case $2.$3 in
        udp.paced*) text+=", $(frames_a_second "$3")/s" ;;
        tcp.paced) text+=", $tcp_rate Mbit/s" ;;
        udp.fast | tcp.fast) text+=", as fast as it goes" ;;
    esac
    [[ $6 == 0 ]] || text+=", denied share $6"
    [[ $5 == on ]] || text+=", offloads off"
    echo "$text"
}

# look_around: what this machine does before any guest runs; it is in all CPU figures, and differs from one to the next.
look_around() {
    in_turn "$WORK/endpoints" --json "$WORK/result" run /run/netns/client /run/netns/server sleep 1
    background=$(jq '.cpu_s.system / .seconds * 100 | round / 100' "$WORK/result")
    quiet=$(jq ".cpu_s.system < .seconds * $(nproc) * 0.1" "$WORK/result")
    [[ $quiet == true ]] ||
        warn "$background of $(nproc) CPUs are busy with something else: the figures of CPU time will be inexact, and rates and latencies worse than they are"
}

# warm_up: every arrangement carries traffic for a while: JVMs compile, emulators translate.
warm_up() {
    local name long
    progress "warming up"
    interrupts_before=''
    for name in "${arrangements[@]}"; do
        long=0.3
        ! has_vm "$name" || long=0.6
        ! is_policy "$name" || long=1.2
        [[ $grid != quick ]] || long=0.3
        send "$name" udp fast 64 0 "$long" || die "$name: UDP failed (the message is above)"
        send "$name" tcp fast - 0 "$long" || die "$name: TCP failed (the message is above)"
    done
}

# find_rates: how fast paced traffic is; on the longest chain, which carries least.
find_rates() {
    local name size
    : > "$WORK/capacity"
    for name in "${arrangements[@]}"; do
        [[ $name != baseline ]] || ((${#arrangements[@]} == 1)) || continue
        for size in 64 1514; do
            send "$name" udp fast "$size" 0 "$calibration" || die "$name: UDP failed (the message is above)"
            echo "$name udp $(jq .pps "$WORK/result")" >> "$WORK/capacity"
        done
        send "$name" tcp fast - 0 "$calibration" || die "$name: TCP failed (the message is above)"
        echo "$name tcp $(jq .mbit "$WORK/result")" >> "$WORK/capacity"
    done
    # Two digits.
    # shellcheck disable=SC2016 # awk's
    local least='$2 == what && (!n || $3 < n) { n = $3 } END { n *= pace; step = 10 ^ (int(log(n) / log(10)) - 1); print int(n / step) * step }'
    tcp_rate=$(awk -v what=tcp -v pace="$PACE" "$least" "$WORK/capacity")
    [[ -n $rate ]] || rate=$(awk -v what=udp -v pace="$PACE" "$least" "$WORK/capacity")
    # More would be the end points' test.
    ((rate <= 50000)) || rate=50000
    progress "paced traffic: $rate frames/s, $tcp_rate Mbit/s"
}

measure_all() {
    local chain round most cell i name description
    local -a fields
    for chain in 4 3 2 1; do
        local -a here=()
        most=0
        for cell in "${cells[@]}"; do
            read -ra fields <<< "$cell"
            ((fields[0] == chain)) || continue
            here+=("$cell")
            ((fields[6] <= most)) || most=${fields[6]}
        done
        ((${#here[@]})) || continue
        begin_chain "$chain"
        warm_up
        [[ -n $tcp_rate ]] || find_rates
        for ((round = 1; round <= most; round++)); do
            for cell in "${here[@]}"; do
                read -ra fields <<< "$cell"
                ((round <= fields[6])) || continue
                description=$(describe "${fields[@]}")
                done_runs=$((done_runs + 1))
                progress "measurement $done_runs of $all_runs, round $round: $description"
                set_offloads "${fields[4]}"
                set_baseline_firewall "${fields[5]}"
                # Another one begins each round, so that none always comes after the same.
                for ((i = 0; i < ${#arrangements[@]}; i++)); do
                    name=${arrangements[(i + round - 1) % ${#arrangements[@]}]}
                    # In turns, every arrangement brings its baseline along.
                    [[ ${fields[8]:-} != vms || $in_turns == no ]] || has_vm "$name" || continue
                    [[ $name == filter+wire || $name == baseline && $in_turns == no ]] || ((round <= ${fields[7]:-$round})) || continue
                    measure "$name" "$round" "${fields[@]:0:6}"
                done
            done
        done
        set_offloads on
    done
}

write_json() {
    local version jdk cpu
    version=$(qemu-system-x86_64 --version | sed -n '1s/.*version \([0-9.]*\).*/\1/p')
    jdk=$("${JAVA_HOME:+$JAVA_HOME/bin/}java" -version 2>&1 | sed -n '1s/.*"\(.*\)".*/\1/p')
    cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
    jq -s --arg date "$(date -u +%Y-%m-%dT%H:%M:%SZ)" --arg grid "$grid" --argjson seconds $((SECONDS - since)) --argjson cpus "$(nproc)" --arg cpu_model "$cpu" \
        --argjson background "$background" --arg kernel "$(uname -r)" --arg accelerator "$accel" --arg qemu "$version" --arg jdk "$jdk" \
        --arg command "qemu-scripts/experiment.sh${arguments[*]:+ ${arguments[*]}}" '
        # What is the same in a run and in its baseline, and how much traffic it was.
        def traffic: [.chain, .traffic, .pace, .frame_bytes, .offloads, .denied_share, .round] | tostring;
        def amount: if .traffic == "tcp" then .bytes elif .traffic == "http" then .delivered else .sent end;
        (map(select(.arrangement == "baseline") | {key: traffic, value: .}) | from_entries) as $baselines
        | {$date, $grid, $seconds, machine: {$cpus, $cpu_model, $kernel, $accelerator, $qemu, $jdk, background_cpus: $background}, commands: {experiment: $command},
           runs: map($baselines[traffic] as $b
               | (if .beside and .beside.sent > 0 then .beside.cpu_s * amount / .beside.sent
                  elif $b and ($b | amount) > 0 then $b.cpu_s.system * amount / ($b | amount) else null end) as $base
               | del(.wrong, .allowed, .beside)
               | .cpu_s = {system: .cpu_s.system, baseline: $base, net: (if $base == null then null else .cpu_s.system - $base end)} +
                   {qemu: null, mypervisor: null, echo: null, softirq: null, endpoints: null} + (.cpu_s | del(.system)))}' \
        "$WORK/runs" > "$out/experiment.json"
}

# What went wrong, one line each; nothing if all traffic was as it must be.
wrong_runs() {
    jq -r '"\(.arrangement), chain of \(.chain), \(.traffic), round \(.round)" as $run
        | (select(.wrong > 0) | "\($run): \(.wrong) frames arrived that should not have, or damaged, or were lost at the receiver"),
          (select(.paced and .allowed != null and .delivered < .allowed) | "\($run): \(.delivered) of \(.allowed) paced frames arrived"),
          (select(.traffic == "http" and .delivered < .sent) | "\($run): \(.sent - .delivered) of \(.sent) requests failed")' "$WORK/runs"
}

keep_logs() { # of the guests; end_work calls it when something went wrong
    local folder
    for folder in "$WORK"/fw*/; do
        [[ ! -f $folder/console.log ]] || cat "$folder"/{qemu,console}.log > "$out/guest-$(basename "$folder").log"
    done
}

begin_work
out=$(cd "$out" && pwd)
rm -f "$out"/experiment.json "$out"/{mypervisor,guest,tap-echo,nginx}*.log
since=$SECONDS
accel=$(accelerator)
make_grid
# Turns need exact accounts of idle CPUs, which containers may hide.
in_turns=no
! selected baseline || ! grep -q idle_sleeptime /proc/timer_list 2> /dev/null || in_turns=yes
longest=0 all_runs=0 done_runs=0 offloads=on background='' quiet=true disturbed=0 tcp_rate='' guest_needed=0 nginx='' calibration=1
[[ $grid != quick ]] || calibration=0.4
guests=() echo_pids=()
declare -A back_ends=()
for cell in "${cells[@]}"; do
    read -ra fields <<< "$cell"
    ((fields[0] <= longest)) || longest=${fields[0]}
    all_runs=$((all_runs + fields[6]))
done
for name in "${arrangements[@]}"; do ! has_vm "$name" || guest_needed=1; done

gcc -O2 -Wall -pthread -o "$WORK/endpoints" "$SCRIPTS/experiment/endpoints.c"
gcc -O2 -Wall -o "$WORK/tap-echo" "$SCRIPTS/experiment/tap-echo.c"
progress "making the network: ${arrangements[*]}"
build_network
start_nginx
look_around
[[ $grid != quick ]] || quiet=false # runs of moments say nothing of that
measure_all
write_json
progress "done, $((SECONDS - since)) s after the build; accelerator $accel; numbers in $out/experiment.json"
((disturbed == 0)) || warn "this machine was busy with something else during at least $disturbed of $(wc -l < "$WORK/runs") runs: their figures of CPU time are too high"
wrong=$(wrong_runs)
report=$ROOT/tests/experiment/target/experiment/bin/report
if [[ -x $report ]]; then
    "$report" "$out/experiment.json" "$out" || die "the report could not be written (its message is above); the numbers are in $out/experiment.json"
    progress "the report is $out/report.md"
else
    warn "no report: $report is not there; build the project"
fi
[[ -z $wrong ]] || die "not all traffic was as it must be:
$wrong"
