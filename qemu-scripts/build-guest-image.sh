#!/usr/bin/env bash
# Makes the test guest: Debian's cloud kernel and an initramfs of busybox, nft, the traffic tool and the kernel modules.
#
# build-guest-image.sh [--fresh-kernel] [--with PATH]...
#
#   --fresh-kernel   asks apt for the newest kernel package; else the one that was fetched before is used
#   --with PATH      one more program of this machine, with its libraries; repeatable
#
# Prints two lines: the path of the kernel and the path of the initramfs. They are kept in
# ${XDG_CACHE_HOME:-~/.cache}/mypervisor, in a folder named after everything that goes into them: a change makes a new
# one, else this is done at once. The folder may be deleted at any time that no guest runs.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# With all that they need. microvm: virtio_mmio; pci: virtio_pci; the middlebox: bridge and its part of nf_tables.
modules=(virtio_mmio virtio_pci virtio_net bridge 8021q nf_tables nft_meta_bridge nft_limit nft_log nft_reject_bridge)

fresh=no programs=(nft)
while (($#)); do
    case $1 in
        --help | -h) usage; exit ;;
        --fresh-kernel) fresh=yes ;;
        --with) value "$1" $#; programs+=("$2"); shift ;;
        *) wrong_option "unknown option $1" ;;
    esac
    shift
done
for tool in busybox gcc cpio nft sha256sum; do
    command -v "$tool" > /dev/null || die "$tool is missing; run $SCRIPTS/install.sh"
done

begin_work
mkdir -p "$CACHE"

kernel_package=$(newest_kernel_package)
if [[ -z $kernel_package || $fresh == yes ]]; then
    progress "fetching Debian's cloud kernel (it is not installed on this machine)"
    fetch_kernel_package "$WORK"
    kernel_package=$(newest_kernel_package)
fi

busybox=$(command -v busybox)
! ldd "$busybox" > /dev/null 2>&1 || die "busybox needs libraries; run $SCRIPTS/install.sh to get busybox-static"
files=() # programs and their libraries
for program in "${programs[@]}"; do
    path=$(command -v "$program") || die "--with $program: not found"
    files+=("$path")
    while read -r library; do files+=("$library"); done < <(ldd "$path" 2> /dev/null | grep -o '/[^ ]*')
done
key=$({ echo "${kernel_package##*/} ${modules[*]} ${files[*]}"
    cat "$0" "$SCRIPTS"/guest/* "$busybox" "${files[@]}"; } | sha256sum | cut -c 1-16)
image=$CACHE/guest-$key

if [[ ! -d $image ]]; then
    progress "building the guest image"
    root=$WORK/root
    mkdir -p "$root"/{bin,sbin,dev,proc,sys,tmp,root,etc} "$WORK/kernel" "$WORK/image"
    cp "$busybox" "$root/bin/busybox"
    while read -r applet; do ln -sf busybox "$root/bin/$applet"; done < <("$busybox" --list | grep -vx busybox)
    ln -s ../bin/busybox "$root/sbin/modprobe" # where the kernel looks for it
    cp "$SCRIPTS/guest/init" "$root/init"
    chmod 755 "$root/init"
    gcc -O2 -Wall -static -o "$root/bin/traffic" "$SCRIPTS/guest/traffic.c"
    gcc -O2 -Wall -o "$WORK/image/tsc-khz" "$SCRIPTS/guest/tsc-khz.c"
    for file in "${files[@]}"; do
        mkdir -p "$root$(dirname "$file")"
        cp -L "$file" "$root$file"
    done
    for program in "${programs[@]}"; do
        [[ -e $root/bin/${program##*/} && ! -L $root/bin/${program##*/} ]] \
            || ln -sf "$(command -v "$program")" "$root/bin/${program##*/}"
    done

    dpkg-deb -x "$kernel_package" "$WORK/kernel"
    cp "$WORK"/kernel/boot/vmlinuz-* "$WORK/image/vmlinuz"
    base=$WORK/kernel
    [[ -d $base/lib/modules ]] || base=$WORK/kernel/usr # as of Debian 13
    version=$(ls "$base/lib/modules") || die "no modules in $kernel_package"
    tree=$base/lib/modules/$version
    find "$tree" -name '*.ko.xz' -exec xz -d {} +
    "$busybox" depmod -b "$base" "$version"
    # modules.dep has a line "PATH: PATH..." for each module, all that it needs behind the colon.
    for module in "${modules[@]}"; do
        file="/${module//_/[_-]}\.ko"
        grep -E "$file:" "$tree/modules.dep" || grep -qE "$file\$" "$tree/modules.builtin" || die "no module $module in $kernel_package"
    done | tr -d : | tr ' ' '\n' | sort -u > "$WORK/modules"
    while read -r file; do
        mkdir -p "$root/lib/modules/$version/${file%/*}"
        cp "$tree/$file" "$root/lib/modules/$version/$file"
    done < "$WORK/modules"
    cp "$tree"/modules.builtin* "$root/lib/modules/$version/"
    "$busybox" depmod -b "$root" "$version"
    # Uncompressed: to unpack it would cost an emulated guest more than to read it.
    (cd "$root" && find . | cpio --quiet -o -H newc -R 0:0) > "$WORK/image/initrd"

    # Another run may have made the same folder meanwhile; whichever comes first stays.
    staged=$(mktemp -d "$CACHE/new.XXXXXX")
    cp "$WORK"/image/* "$staged/"
    chmod 755 "$staged"
    mv -T "$staged" "$image" 2> /dev/null || rm -rf "$staged"
fi
printf '%s\n' "$image/vmlinuz" "$image/initrd"
