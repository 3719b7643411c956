#!/usr/bin/env bash
# Finds what Mypervisor and its test guests need and this machine lacks, and installs it with apt.
#
# install.sh [--with-testpmd] [--with-experiment] [--with-peers] [--check]
#
#   --with-testpmd      DPDK's testpmd too, which the tests and the benchmark need and the demo does not
#   --with-experiment   nginx, wrk and tcpdump too, which experiment and tests need; nginx is not started as a service of this machine
#   --with-peers        OVS-DPDK, DPDK's headers and drivers, and tcpreplay too, which the scripts in tests/bench need; the switch is not
#                       started
#   --check             installs nothing; prints what is missing
#
# Installs as root only; for others it prints the command to run and ends with status 1. It does nothing when nothing is
# missing. The guests' kernel is fetched into the user's cache and is not installed on this machine.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

testpmd=no experiment=no peers=no check=no
while (($#)); do
    case $1 in
        --help | -h) usage; exit ;;
        --with-testpmd) testpmd=yes ;;
        --with-experiment) experiment=yes ;;
        --with-peers) testpmd=yes peers=yes ;;
        --check) check=yes ;;
        *) wrong_option "unknown option $1" ;;
    esac
    shift
done

have() { command -v "$1" > /dev/null; }
has_jdk() {
    local version
    version=$(javac -version 2>&1) || return 1
    [[ $version =~ ^javac\ ([0-9]+) ]] && ((BASH_REMATCH[1] >= 17))
}
# A dynamic busybox would need its libraries in the guest.
has_static_busybox() { have busybox && ! ldd "$(command -v busybox)" > /dev/null 2>&1; }
has_static_libc() { gcc -print-file-name=libc.a 2> /dev/null | grep -q /; }
# DPDK's drivers are plug-ins, each in a package with the release in its name.
has_testpmd() { have dpdk-testpmd && compgen -G '/usr/lib/*/dpdk/pmds*/librte_net_vhost.so*' > /dev/null; }
newest_package() { apt-cache pkgnames "$1" | grep -xE "$1[0-9.]+" | sort -V | tail -n 1; }

missing=()
find_missing() {
    missing=()
    has_jdk || missing+=(default-jdk-headless) # 17 on Debian 12, 21 on Debian 13
    have mvn || missing+=(maven)
    have qemu-system-x86_64 || missing+=(qemu-system-x86)
    have cpio || missing+=(cpio)
    has_static_busybox || missing+=(busybox-static)
    have nft || missing+=(nftables)
    have gcc || missing+=(gcc)
    has_static_libc || missing+=(libc6-dev)
    have jq || missing+=(jq)
    have ip || missing+=(iproute2)
    have ethtool || missing+=(ethtool)
    have flock || missing+=(util-linux)
    have xz || missing+=(xz-utils)
    if [[ $experiment == yes ]]; then
        have nginx || missing+=(nginx-light)
        have wrk || missing+=(wrk)
        have ping || missing+=(iputils-ping)
        have tcpdump || missing+=(tcpdump)
    fi
    if [[ $peers == yes ]]; then
        have curl || missing+=(curl)
        have tcpreplay || missing+=(tcpreplay)
        have pkg-config || missing+=(pkg-config)
        pkg-config --exists libdpdk 2> /dev/null || missing+=(libdpdk-dev)
        [[ -x /usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk ]] || missing+=(openvswitch-switch-dpdk)
        local driver
        for driver in af_packet af_xdp; do
            compgen -G "/usr/lib/*/dpdk/pmds*/librte_net_$driver.so*" > /dev/null ||
                missing+=("$(newest_package "librte-net-${driver/_/-}")")
        done
    fi
    if [[ $testpmd == yes ]] && ! has_testpmd; then
        missing+=(dpdk-dev)
        local prefix package
        for prefix in librte-net-vhost librte-net-virtio librte-mempool-ring; do
            package=$(newest_package "$prefix")
            missing+=("${package:-$prefix}")
        done
    fi
}

# Debian starts a web server or a switch as soon as it is installed, and at each boot. Here they are only programs.
policy=/usr/sbin/policy-rc.d policy_is_mine=no
forbid_services() {
    [[ " ${missing[*]} " =~ \ (nginx-light|openvswitch-switch-dpdk)\  && ! -e $policy ]] || return 0
    policy_is_mine=yes
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
}
allow_services() {
    [[ $policy_is_mine == yes ]] || return 0
    rm -f "$policy"
    policy_is_mine=no
    have systemctl || return 0
    [[ " ${missing[*]} " != *" nginx-light "* ]] || systemctl --quiet disable nginx > /dev/null 2>&1 || true
    [[ " ${missing[*]} " != *" openvswitch-switch-dpdk "* ]] || systemctl --quiet disable openvswitch-switch > /dev/null 2>&1 || true
}
keep_logs() { allow_services; } # end_work calls it when something went wrong

install() { # what apt said is in $WORK/apt.log
    local status=0
    forbid_services
    apt-get install -y -q -q --no-install-recommends "${missing[@]}" > "$WORK/apt.log" 2>&1 &
    still_running $! "installing" || status=$?
    allow_services
    return "$status"
}
update() {
    progress "fetching package lists"
    apt-get update -q -q || die "apt-get update failed (its message is above); see to it that the Debian archive can be reached"
}

find_missing
[[ $check == no ]] || { ((${#missing[@]} == 0)) || { printf '%s\n' "${missing[@]}"; exit 1; }; exit 0; }

if ((${#missing[@]})); then
    have apt-get || die "this machine has no apt-get; install by hand what provides: ${missing[*]} (Debian's names)"
    if ((EUID != 0)); then
        echo "Missing: ${missing[*]}. Run this, then start again:" >&2
        echo "  sudo apt-get update && sudo apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    begin_work
    progress "installing ${missing[*]}"
    # Package lists may be absent or too old: then fetch them, and try once more.
    if ! install; then
        update
        find_missing # with the lists, names of packages may be known that were not
        install || { tail -n 20 "$WORK/apt.log" >&2; die "apt-get could not install ${missing[*]} (its message is above)"; }
    fi
    find_missing
    ((${#missing[@]} == 0)) || die "still missing after the installation: ${missing[*]}"
fi

if [[ -z $(newest_kernel_package) ]]; then
    [[ -n $WORK ]] || begin_work
    progress "fetching Debian's cloud kernel for the guests"
    if ((EUID == 0)); then
        (fetch_kernel_package "$WORK") 2> /dev/null || { update; fetch_kernel_package "$WORK"; }
    else
        fetch_kernel_package "$WORK"
    fi
fi
