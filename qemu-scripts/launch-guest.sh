#!/usr/bin/env bash
# Boots one guest whose NICs are vhost-user ports of a back-end. Copy the command that --print shows and make it yours.
#
# launch-guest.sh [--nic SOCKET[,PROPERTY=VALUE]...]... [OPTION]... [-- QEMU_ARGUMENT...]
#
#   --nic SOCKET[,...]     a NIC on this socket; repeatable. QEMU connects to it, and again every second when the
#                          back-end restarts; with server=on QEMU listens instead, and waits for the back-end.
#                          queues=N: N queue pairs. mac=...: else a fixed one, made from the guest's name.
#                          Anything else is a property of QEMU's virtio-net, as rx_queue_size=1024 or packed=on.
#   --nic tap:NAME[,...]   a NIC of QEMU's own on this tap, without any back-end: to compare with
#   --kernel FILE --initrd FILE
#                          default: the small test guest that build-guest-image.sh makes
#   --machine microvm|pci  default microvm: boots fast, virtio-mmio; pci: q35 with virtio-net-pci
#   --name NAME            default guest
#   --mem MIB              default 192
#   --cpus N               default 1
#   --append WORDS         more for the kernel's command line
#   --console stdio        default: a shell on this terminal; Ctrl-A x ends the guest
#   --console pipe:PREFIX  for scripts: commands through the FIFOs PREFIX.in and PREFIX.out, see guest/init; all output
#                          goes to PREFIX.log too
#   --qmp SOCKET           QEMU's monitor
#   --print                prints the command instead of running it
#   -- QEMU_ARGUMENT...    more for QEMU, behind all of the above
#
# ACCEL=kvm|tcg overrides the choice of the accelerator. The process becomes QEMU: its pid is QEMU's pid.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

name=guest machine=microvm mem=192 cpus=1 kernel='' initrd='' append='' console=stdio qmp='' print=no nics=() more=()
while (($#)); do
    case $1 in
        --help | -h) usage; exit ;;
        --print) print=yes; shift; continue ;;
        --) shift; more=("$@"); break ;;
        --*) value "$1" $# ;;&
        --nic) nics+=("$2") ;;
        --kernel) kernel=$2 ;;
        --initrd) initrd=$2 ;;
        --machine) machine=$2 ;;
        --name) name=$2 ;;
        --mem) mem=$2 ;;
        --cpus) cpus=$2 ;;
        --append) append=$2 ;;
        --console) console=$2 ;;
        --qmp) qmp=$2 ;;
        *) wrong_option "unknown option $1" ;;
    esac
    shift 2
done
[[ $name =~ ^[A-Za-z0-9_.-]+$ ]] || wrong_option "--name $name: letters, digits, _ . - only"
command -v qemu-system-x86_64 > /dev/null || die "qemu-system-x86_64 is missing; run $SCRIPTS/install.sh"
if [[ -z $kernel || -z $initrd ]]; then
    image=$("$SCRIPTS/build-guest-image.sh")
    { read -r image_kernel; read -r image_initrd; } <<< "$image"
    kernel=${kernel:-$image_kernel} initrd=${initrd:-$image_initrd}
fi

accel=$(accelerator)
case $machine in
    microvm)
        options=microvm,isa-serial=on
        device=virtio-net-device device_options=
        # An emulated guest needs the PIT to calibrate its clocks.
        [[ $accel == tcg ]] || options+=,rtc=off,pit=off,pic=off
        ;;
    pci) options=q35 device=virtio-net-pci device_options=,romfile= ;;
    *) wrong_option "--machine $machine: must be microvm or pci" ;;
esac
case $accel in
    kvm) qemu=(-accel kvm -cpu host) ;;
    # Without these two the guest's kernel copies eight bytes a step; TCG carries out "rep movsb" byte by byte.
    tcg) qemu=(-accel "tcg,thread=multi" -cpu "max,-erms,-fsrm") ;;
esac

# vhost-user: the back-end maps the guest's memory, so it must be a file that can be shared.
qemu+=(-name "$name" -machine "$options,memory-backend=mem" -smp "$cpus" -m "${mem}M"
    -object "memory-backend-memfd,id=mem,size=${mem}M,share=on"
    -nodefaults -no-user-config -no-reboot -display none)
# Else the NICs of a microvm are legacy devices, without VERSION_1 and packed rings.
qemu+=(-global virtio-mmio.force-legacy=false)

hash=$(printf %s "$name" | sha256sum)
macs=()
for index in "${!nics[@]}"; do
    IFS=, read -ra properties <<< "${nics[index]}"
    chardev="socket,id=c$index,path=${properties[0]}" queues=1
    mac=52:54:00:${hash:0:2}:${hash:2:2}:$(printf %02x "$index")
    reconnect=,reconnect=1 tap='' nic=
    [[ ${properties[0]} != tap:* ]] || tap=${properties[0]#tap:}
    for property in "${properties[@]:1}"; do
        case $property in
            server=on) reconnect=,server=on ;;
            server=off) ;;
            queues=*) queues=${property#*=} ;;
            mac=*) mac=${property#*=} ;;
            *) nic+=,$property ;;
        esac
    done
    ((queues == 1)) || nic+=,mq=on
    if [[ $machine == pci && $nic != *,vectors=* ]]; then
        # QEMU before 9.1 without KVM dies when a guest uses MSI-X for a vhost-user NIC (seen with 7.2: a null
        # vector_irqfd); without vectors the NIC has a plain interrupt line.
        if [[ $accel == tcg ]]; then nic+=,vectors=0; elif ((queues > 1)); then nic+=,vectors=$((2 * queues + 2)); fi
    fi
    macs+=("${mac,,}")
    if [[ -n $tap ]]; then
        qemu+=(-netdev "tap,id=n$index,ifname=$tap,script=no,downscript=no,vhost=off")
    else
        qemu+=(-chardev "$chardev$reconnect" -netdev "vhost-user,id=n$index,chardev=c$index,queues=$queues")
    fi
    qemu+=(-device "$device,netdev=n$index,mac=$mac$device_options$nic")
done

words="console=ttyS0 reboot=t panic=-1 quiet mypervisor.name=$name mypervisor.macs=$(IFS=,; echo "${macs[*]-}")"
# See guest/tsc-khz.c. Another kernel without this tool boots too, on a machine that is not too busy.
if [[ $accel == tcg && -x ${initrd%/*}/tsc-khz ]]; then
    words+=" tsc_early_khz=$("${initrd%/*}/tsc-khz") tsc=reliable no_timer_check"
fi
case $console in
    stdio)
        qemu+=(-chardev "stdio,id=console,mux=on,signal=off" -serial chardev:console)
        words+=" mypervisor.console=shell"
        ;;
    pipe:?*)
        prefix=${console#pipe:}
        for fifo in "$prefix.in" "$prefix.out"; do [[ -p $fifo ]] || mkfifo -m 600 "$fifo"; done
        qemu+=(-chardev "pipe,id=console,path=$prefix,logfile=$prefix.log" -serial chardev:console)
        ;;
    *) wrong_option "--console $console: must be stdio or pipe:PREFIX" ;;
esac
[[ -z $qmp ]] || qemu+=(-qmp "unix:$qmp,server=on,wait=off")

qemu=(qemu-system-x86_64 "${qemu[@]}" -kernel "$kernel" -initrd "$initrd" -append "$words${append:+ $append}" "${more[@]}")
if [[ $print == yes ]]; then
    printf '%s\n' "${qemu[*]@Q}"
else
    exec "${qemu[@]}"
fi
