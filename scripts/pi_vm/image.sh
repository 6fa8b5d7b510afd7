#!/usr/bin/env bash
# Make the disk that scripts/pi-vm.sh boots: Debian trixie for arm64 with systemd, ssh, and a kernel that has a camera.
#
#   scripts/pi_vm/image.sh FOLDER        as root, for files of other owners; pi-vm.sh up calls it
#
# FOLDER gets: disk.img, kernel, initrd, key (of user pi, with sudo), host-key.pub. Each file appears when it is complete: an
# interrupted call is resumed after the last complete step. 8 minutes, nearly all in the second step.
# $PI_VM_MIRROR: Debian mirror; default: this machine's own.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
SUITE=trixie
IMAGE_VERSION=1 # increased when the image's content changes: an image of another version is made again
DISK_SIZE=4G
PACKAGES=(
    systemd systemd-sysv libpam-systemd dbus udev kmod procps iproute2 busybox-static
    openssh-server sudo python3 python3-venv v4l-utils
)
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

fail() {
    echo "pi-vm.sh: error: $1" >&2
    exit 1
}

log() { echo "pi-vm.sh: $1" >&2; }

main() {
    [ $# -eq 1 ] || fail "usage: scripts/pi_vm/image.sh FOLDER"
    mkdir -p "$1"
    cd "$1"
    check_machine
    exec 9>image.lock
    flock --nonblock 9 || fail "another command is making the image in $1; wait for it"
    [ "$(cat image.version 2>/dev/null)" = $IMAGE_VERSION ] || discard_image
    umask 022
    step 1 key "a key of user pi" make_key
    step 2 root "Debian $SUITE for arm64 (some minutes, under emulation)" make_root
    step 3 host-key.pub "configuration of the board" configure_root
    step 4 kernel "kernel and its modules" extract_kernel
    step 5 initrd "initial RAM disk" make_initrd
    step 6 disk.img "disk image" make_disk
    remove root
}

check_machine() {
    local missing=() program
    [ "$(id -u)" = 0 ] || fail "making the image takes root; run 'sudo scripts/pi_vm/image.sh $PWD'"
    for program in python3:python3 mmdebstrap:mmdebstrap arch-test:arch-test mke2fs:e2fsprogs dpkg-deb:dpkg depmod:kmod cpio:cpio xz:xz-utils \
        ssh-keygen:openssh-client update-binfmts:binfmt-support qemu-aarch64-static:qemu-user-static; do
        command -v "${program%:*}" >/dev/null || missing+=("${program#*:}")
    done
    [ ${#missing[@]} -eq 0 ] || fail "programs are missing; 'sudo apt install ${missing[*]}'"
    [ -e "${KEYRING%-keyring.gpg}-$SUITE-stable.gpg" ] ||
        fail "no signing keys of Debian $SUITE; 'sudo apt install debian-archive-keyring' (2023.3+deb12u2 or newer)"
}

# remove FOLDER...: also if a killed build has left a mount in it.
remove() {
    local folder mounted
    for folder in "$@"; do
        while read -r mounted; do
            umount "$mounted" || fail "$PWD/$folder: $mounted is in use; stop what uses it, and run this again"
        done < <(awk -v within="$PWD/$folder/" 'index($2, within) == 1 { print $2 }' /proc/mounts | sort -r)
        rm -rf --one-file-system "$folder"
    done
}

discard_image() {
    remove root root.part
    rm -f disk.img kernel initrd host-key.pub
    rm -rf boards # their disks hold differences from the image
    echo $IMAGE_VERSION >image.version
}

# step NUMBER RESULT TITLE COMMAND: run COMMAND, which creates RESULT at its end, unless RESULT exists or is no longer needed.
step() {
    if [ -e "$2" ] || [ -e disk.img ]; then return; fi
    log "step $1 of 6: $3"
    local start=$SECONDS
    "$4"
    log "step $1 of 6: done after $((SECONDS - start)) s"
}

make_key() {
    rm -f key.part key.part.pub
    ssh-keygen -q -t ed25519 -N "" -C pi-vm -f key.part
    mv key.part.pub key.pub
    mv key.part key
}

make_root() {
    local mirror=${PI_VM_MIRROR:-$(own_mirror)}
    [ -n "$mirror" ] || fail "this machine has no Debian mirror of its own; name one: PI_VM_MIRROR=http://... $0 ..."
    run_arm64_programs
    remove root.part
    # The caller's TMPDIR does not exist in the new root.
    env -u TMPDIR mmdebstrap --mode=root --architectures=arm64 --variant=minbase --keyring="$KEYRING" \
        --include="$(IFS=,; echo "${PACKAGES[*]}")" --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --customize-hook="$(declare -f fetch_kernel); fetch_kernel \"\$1\"" \
        "$SUITE" root.part "$mirror" || fail "Debian could not be installed; see the output above. Run this again to retry"
    mv root.part root
}

own_mirror() {
    # shellcheck disable=SC2016 # the variables are apt's
    apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Identifier: Packages' | sed -n 's/^Debian Debian //p' | head -n 1
}

# Installing the kernel's package would make an initial RAM disk under emulation, which takes minutes: it is only extracted.
fetch_kernel() {
    # shellcheck disable=SC2016 # the inner shell's
    chroot "$1" sh -euc 'cd /root
        apt-get download "$(apt-cache depends --important linux-image-arm64 | sed -n "s/ *Depends: //p" | head -n 1)"'
}

# Lets the kernel start arm64 programs by qemu-user.
run_arm64_programs() {
    local binfmt=/proc/sys/fs/binfmt_misc
    [ -e $binfmt/register ] || mount -t binfmt_misc binfmt_misc $binfmt || fail "binfmt_misc cannot be mounted on $binfmt"
    [ -e $binfmt/qemu-aarch64 ] || update-binfmts --enable qemu-aarch64 || fail "update-binfmts knows no qemu-aarch64"
}

# Each of the next steps can be repeated after an interruption.
configure_root() {
    chroot root id pi >/dev/null 2>&1 || chroot root useradd --create-home --groups adm,video,systemd-journal --shell /bin/bash pi
    put 0440 /etc/sudoers.d/pi <<<"pi ALL=(ALL) NOPASSWD: ALL"
    put 0644 /etc/hostname <<<"pi-vm"
    put 0644 /etc/hosts <<<"127.0.0.1 localhost pi-vm"
    put 0644 /etc/fstab <<<"/dev/vda / ext4 defaults,noatime 0 1"
    put 0644 /etc/systemd/network/wired.network <<<$'[Match]\nType=ether\n\n[Network]\nDHCP=ipv4'
    # A start that takes seconds on a Raspberry Pi can take minutes on an emulated processor on a busy machine.
    put 0644 /etc/systemd/system/emotion-edge.service.d/emulated.conf <<<$'[Service]\nTimeoutStartSec=600'
    set_up_camera
    # The journal survives a boot, as on a Raspberry Pi.
    mkdir -p root/var/log/journal
    mkdir -p root/etc/systemd/system/multi-user.target.wants
    ln -sf /usr/lib/systemd/system/systemd-networkd.service root/etc/systemd/system/multi-user.target.wants/
    : >root/etc/machine-id
    mkdir -p root/home/pi/.ssh
    put 0600 /home/pi/.ssh/authorized_keys <key.pub
    chroot root chown -R pi:pi /home/pi/.ssh
    chmod 0700 root/home/pi/.ssh
    cp root/etc/ssh/ssh_host_ed25519_key.pub host-key.part
    mv host-key.part host-key.pub
}

# The kernel's test camera is /dev/video0. It shows what is written to the test driver's output, /dev/video1: a face, from the
# moment the camera is plugged in. 40 frames per second is the lowest rate of the driver's timings, and too much for an
# emulated processor: three of four frames are dropped.
set_up_camera() {
    local timing="--set-dv-bt-timings cvt,width=640,height=480,fps=40" dropped="percentage_of_dropped_buffers=75"
    put 0644 /etc/modules-load.d/camera.conf <<<"vivid"
    put 0644 /etc/modprobe.d/camera.conf \
        <<<"options vivid n_devs=1 node_types=0x101 num_inputs=1 input_types=3 num_outputs=1 output_types=1"
    put 0644 /etc/udev/rules.d/90-face.rules \
        <<<'SUBSYSTEM=="video4linux", KERNEL=="video1", ATTR{name}=="vivid*", TAG+="systemd", ENV{SYSTEMD_WANTS}+="face.service"'
    python3 "$here/face.py" | put 0644 /usr/local/share/pi-vm/face.yuyv
    put 0644 /etc/systemd/system/face.service <<END
[Unit]
Description=Show a face to the test camera
BindsTo=dev-video1.device
After=dev-video1.device

[Service]
ExecStartPre=v4l2-ctl -d /dev/video0 $timing --set-ctrl $dropped,osd_text_mode=2,hdmi_000_0_is_connected_to=2
ExecStartPre=v4l2-ctl -d /dev/video1 $timing --set-ctrl $dropped
ExecStart=v4l2-ctl -d /dev/video1 --stream-out-mmap=3 --stream-from=/usr/local/share/pi-vm/face.yuyv --stream-loop
StandardOutput=null
StandardError=null
Nice=5
END
}

# put MODE PATH: write standard input to PATH of the new root.
put() {
    mkdir -p "root${2%/*}"
    cat >"root$2"
    chmod "$1" "root$2"
}

extract_kernel() {
    rm -rf kernel.deb.part
    dpkg-deb -x root/root/linux-image-*.deb kernel.deb.part
    local modules=(kernel.deb.part/usr/lib/modules/* kernel.deb.part/lib/modules/*) each
    for each in "${modules[@]}"; do
        if [ -d "$each" ]; then cp -a "$each" root/usr/lib/modules.part; fi
    done
    mkdir -p root/usr/lib/modules
    local version
    version=$(cd kernel.deb.part/boot && compgen -G 'vmlinuz-*')
    version=${version#vmlinuz-}
    rm -rf "root/usr/lib/modules/$version"
    mv root/usr/lib/modules.part "root/usr/lib/modules/$version"
    depmod -b root "$version"
    cp "kernel.deb.part/boot/vmlinuz-$version" kernel.part
    rm -rf kernel.deb.part root/root/linux-image-*.deb
    mv kernel.part kernel
}

make_initrd() {
    local folder=initrd.part version name path
    version=$(ls root/usr/lib/modules)
    rm -rf $folder
    mkdir -p $folder/{bin,dev,proc,sys,root,modules}
    cp root/usr/bin/busybox $folder/bin/busybox
    # A module may be built into the kernel, which is no error; its dependencies come before it.
    for name in virtio_pci virtio_mmio virtio_blk ext4; do
        modprobe --dirname root --set-version "$version" --show-depends "$name" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
    done | awk '!seen[$0]++' | while read -r path; do
        xz --decompress --stdout "$path" >"$folder/modules/$(basename "$path" .xz)"
        basename "$path" .xz >>$folder/modules/order
    done
    print_init >$folder/init
    chmod 755 $folder/init
    (cd $folder && find . | cpio --quiet -o -H newc | gzip -1) >initrd.gz.part
    rm -rf $folder
    mv initrd.gz.part initrd
}

print_init() {
    cat <<'INIT'
#!/bin/busybox sh
busybox=/bin/busybox
$busybox mount -t devtmpfs dev /dev
$busybox mount -t proc proc /proc
$busybox mount -t sysfs sys /sys
while read -r module; do $busybox insmod "/modules/$module"; done </modules/order
until [ -b /dev/vda ]; do $busybox sleep 0.1; done
$busybox mount -o rw,noatime /dev/vda /root || exec $busybox sh
for each in dev proc sys; do $busybox mount -o move "/$each" "/root/$each"; done
exec $busybox switch_root /root /sbin/init
INIT
}

make_disk() {
    rm -f disk.img.part
    mke2fs -q -t ext4 -L pi-vm -d root disk.img.part $DISK_SIZE
    [ -z "${SUDO_UID:-}" ] || chown "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" . ./*
    mv disk.img.part disk.img
}

main "$@"
