# shellcheck shell=bash
# Functions that the scripts and the integration tests share. To be sourced by a bash with `set -euo pipefail`.

SCRIPTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(dirname "$SCRIPTS")
# shellcheck disable=SC2034 # for those who source this
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/mypervisor
PATH=$PATH:/usr/sbin:/sbin # nft, ip: a normal user's PATH may lack them

# ---- what is going on ----

progress() { printf '[%4d s] %s\n' "$SECONDS" "$*" >&2; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die() { printf '%s: error: %s\n' "${0##*/}" "$*" >&2; exit 1; }
# usage: the comment at the top of the calling script is its help.
usage() { sed -n '2,/^[^#]/{/^#/!q; s/^# \{0,1\}//; p}' "$0"; }
wrong_option() { printf '%s: error: %s (see --help)\n' "${0##*/}" "$*" >&2; exit 2; }
# value OPTION COUNT: an option that needs a value has one.
value() { (($2 >= 2)) || wrong_option "$1: unknown, or without its value"; }

# ---- cleaning up ----

OWNER=         # the shell that made $WORK
WORK=          # temporary directory, made by begin_work
STARTED=()     # pids to end, the last started first

# begin_work: makes $WORK and sees to it that it and everything in STARTED are gone at the end, however that comes.
begin_work() {
    OWNER=$BASHPID
    # Short, as the path of a UNIX socket has at most 107 bytes.
    WORK=$(mktemp -d "${TMPDIR:-/tmp}/mypervisor.XXXXXX")
    ((${#WORK} <= 60)) || { rmdir "$WORK"; die "TMPDIR is too long for UNIX sockets; run with TMPDIR=/tmp"; }
    trap end_work EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap 'exit 129' HUP
}

end_work() {
    local status=$? i
    # A child that is signalled before it became its command still has this trap.
    [[ $BASHPID == "$OWNER" ]] || exit "$status"
    trap '' INT TERM HUP
    # From here no child is waited for by "wait": bash 5.2 was seen to hang there, after a signal had interrupted another
    # "wait". Disowned ones are not reported as "Terminated" either.
    disown -a
    # A script may have a function of this name, to save what helps to find out why.
    ((status == 0)) || ! declare -F keep_logs > /dev/null || keep_logs
    for ((i = ${#STARTED[@]} - 1; i >= 0; i--)); do stop_process "${STARTED[i]}" 5 || true; done
    [[ -z $WORK ]] || rm -rf "$WORK"
    exit "$status"
}

started() { STARTED+=("$1"); }

# alive PID: a child that has ended but was not waited for counts as gone.
alive() {
    local stat
    { read -r stat < "/proc/$1/stat"; } 2> /dev/null || return 1
    [[ ${stat##*) } != [ZX]* ]]
}

# stop_process PID [SECONDS]: SIGTERM, and SIGKILL after SECONDS (then it returns 1). A pid that was not started here is left alone.
stop_process() {
    local pid=$1 tries=$((${2:-10} * 20)) others=() other mine=no
    for other in "${STARTED[@]}"; do
        if [[ $other == "$pid" ]]; then mine=yes; else others+=("$other"); fi
    done
    [[ $mine == yes ]] || return 0
    STARTED=("${others[@]}")
    local status=0
    kill -TERM "$pid" 2> /dev/null || true
    while alive "$pid"; do
        if ((tries-- == 0)); then
            kill -KILL "$pid" 2> /dev/null || true
            status=1
            break
        fi
        sleep 0.05
    done
    wait "$pid" 2> /dev/null || true
    return "$status"
}

# in_turn COMMAND...: runs it so that a signal to this script is acted on at once, not when the command has ended.
in_turn() {
    local pid status=0
    "$@" &
    pid=$!
    started "$pid"
    wait "$pid" || status=$?
    stop_process "$pid"
    return "$status"
}

# still_running PID WHAT: waits for a child and says every 20 seconds that it is still at it; returns its status.
still_running() {
    local status=0 since=$SECONDS next=$((SECONDS + 20))
    while alive "$1"; do
        ((SECONDS < next)) || { progress "still $2, for $((SECONDS - since)) s"; next=$((SECONDS + 20)); }
        sleep 0.2
    done
    wait "$1" || status=$?
    stop_process "$1"
    return "$status"
}

# until_true SECONDS COMMAND...: repeats it until it succeeds.
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@" > /dev/null 2>&1; do
        ((SECONDS < end)) || return 1
        sleep 0.1
    done
}

# ---- the machine ----

# accelerator: kvm or tcg. /dev/kvm alone proves nothing: a KVM without VMX or SVM opens, but does not boot a stock kernel.
accelerator() {
    case ${ACCEL:-} in
        kvm | tcg) echo "$ACCEL"; return ;;
        '') ;;
        *) die "ACCEL=$ACCEL: must be kvm or tcg" ;;
    esac
    if { : <> /dev/kvm; } 2> /dev/null && grep -qwE 'vmx|svm' /proc/cpuinfo; then
        echo kvm
    else
        echo tcg
    fi
}

# cpu_us PID: CPU time of a process and its threads so far, in microseconds (utime + stime, in steps of 10 ms).
cpu_us() {
    local stat
    read -r stat < "/proc/$1/stat"
    # shellcheck disable=SC2086 # the fields behind "(name) "
    set -- ${stat##*) }
    echo $(((${12} + ${13}) * 1000000 / $(getconf CLK_TCK)))
}

# ---- guests ----
# A guest NAME has a folder $WORK/NAME with console.in and console.out (FIFOs), console.log, qemu.log and pid.

# guest_start NAME ARGUMENT...: boots a guest in the background; ARGUMENTs go to launch-guest.sh.
guest_start() {
    local name=$1 folder=$WORK/$1
    shift
    mkdir "$folder"
    "$SCRIPTS/launch-guest.sh" --name "$name" --console "pipe:$folder/console" "$@" \
        < /dev/null > "$folder/qemu.log" 2>&1 &
    echo $! > "$folder/pid"
    started $!
}

guest_pid() { cat "$WORK/$1/pid"; }

# guest_wait NAME [SECONDS]: until it takes commands.
guest_wait() {
    local name=$1 end=$((SECONDS + ${2:-180})) folder=$WORK/$1
    until grep -qx '>boot 0' "$folder/console.log" 2> /dev/null; do
        alive "$(guest_pid "$name")" || guest_failed "$name" "QEMU ended"
        ((SECONDS < end)) || guest_failed "$name" "does not boot"
        sleep 0.1
    done
}

guest_failed() {
    { tail -n 15 "$WORK/$1/console.log" "$WORK/$1/qemu.log" 2> /dev/null || true; } >&2
    die "guest $1: $2 (its last lines are above)"
}

# guest_run NAME COMMAND [SECONDS]: runs a shell command in the guest, prints its output, and returns its exit status.
# Without an answer within SECONDS (60), or without QEMU, the script ends.
# Commands for one guest wait for each other; something that shall go on ends in "> FILE 2>&1 &".
guest_run() {
    local name=$1 folder=$WORK/$1 end=$((SECONDS + ${3:-60})) id=$BASHPID.$RANDOM pid lock in out line partial='' answering=no status=''
    pid=$(guest_pid "$name")
    # Both FIFOs are open for reading and writing, so nothing here blocks, or dies of SIGPIPE, when QEMU is gone.
    exec {lock}> "$folder/lock" {in}<> "$folder/console.in" {out}<> "$folder/console.out"
    flock "$lock"
    { echo "@$id"; base64 <<< "$2"; echo .; } >&"$in"
    while [[ -z $status ]]; do
        if ! IFS= read -r -t 1 -u "$out" line; then
            partial+=$line
            alive "$pid" || guest_failed "$name" "QEMU ended during: $2"
            ((SECONDS < end)) || guest_failed "$name" "no answer to: $2"
            continue
        fi
        line=$partial$line partial=''
        case $answering$line in
            "no<$id") answering=yes ;;
            "yes>$id "*) status=${line##* } ;;
            yes*) printf '%s\n' "$line" ;;
            # Else: the end of the boot, or the rest of a command that was given up.
        esac
    done
    exec {lock}>&- {in}>&- {out}>&-
    return "$status"
}

# guest_must NAME COMMAND [SECONDS]: the same, and a failure is an error.
guest_must() {
    local output
    output=$(guest_run "$@") || die "guest $1: this failed: $2: $output"
    [[ -z $output ]] || printf '%s\n' "$output"
}

# guest_stop NAME: ends a guest at once; nothing in it is worth a shutdown.
guest_stop() { stop_process "$(guest_pid "$1")"; }

# guest_interrupts NAME: how many interrupts the guest's virtio devices have raised since it booted.
guest_interrupts() {
    guest_run "$1" "awk '/virtio/ { for (i = 2; i <= NF && \$i ~ /^[0-9]+\$/; i++) n += \$i } END { print n + 0 }' /proc/interrupts"
}

# ---- the back-end ----

# The launcher; the environment may name another one.
MYPERVISOR=${MYPERVISOR:-$ROOT/middlebox-offload/target/mypervisor/bin/mypervisor}

# backend_start CONTROL LOG ARGUMENT...: starts `mypervisor run`, sets BACKEND to its pid, returns when it answers on CONTROL.
backend_start() {
    local control=$1 log=$2
    shift 2
    "$MYPERVISOR" run --control "$control" "$@" < /dev/null >> "$log" 2>&1 &
    BACKEND=$!
    started "$BACKEND"
    local end=$((SECONDS + 30))
    until backend_stats "$control" > /dev/null 2>&1; do
        if ! alive "$BACKEND" || ((SECONDS >= end)); then
            tail -n 15 "$log" >&2
            die "the back-end does not start (its last lines are above, all of them in $log)"
        fi
        sleep 0.2
    done
}

backend_stop() { stop_process "$BACKEND"; }

backend_stats() { "$MYPERVISOR" stats --json --control "$1"; }

# ports_up CONTROL: all ports are up.
ports_up() { backend_stats "$1" | jq -e '.ports | length > 0 and all(.state == "up")'; }

# ---- the guests' kernel ----

# newest_kernel_package: the newest one in the cache, if any.
newest_kernel_package() { find "$CACHE" -maxdepth 1 -name 'linux-image-*.deb' 2> /dev/null | sort -V | tail -n 1; }

# fetch_kernel_package FOLDER: from Debian's archive into the cache, by way of FOLDER.
fetch_kernel_package() {
    local meta=linux-image-cloud-amd64 package
    # The meta package names the real one, linux-image-6.1.0-NN-cloud-amd64.
    package=$(apt-cache depends "$meta" 2> /dev/null | awk '$1 == "Depends:" && $2 ~ /^linux-image-[0-9]/ { print $2; exit }')
    [[ -n $package ]] || die "apt knows no $meta; run 'apt-get update' as root (Debian 12 or later)"
    # As root, apt would fetch as user _apt, which cannot write to FOLDER.
    (cd "$1" && apt-get download -q -q -o APT::Sandbox::User=root "$package") \
        || die "cannot fetch $package; run 'apt-get update' as root, and see to it that the Debian archive can be reached"
    mkdir -p "$CACHE"
    mv "$1"/linux-image-*.deb "$CACHE/"
}
