#!/usr/bin/env bash
# A Raspberry Pi without a Raspberry Pi: Debian trixie for arm64 with systemd and a camera, in QEMU.
#
#   scripts/pi-vm.sh up             boot it; the first call makes it (8 minutes; an interrupted call is resumed)
#   scripts/pi-vm.sh ssh [COMMAND]  a shell on it, or one command
#   scripts/pi-vm.sh status         what runs, and how to deploy to it
#   scripts/pi-vm.sh down           shut it down; its disk is kept
#   scripts/pi-vm.sh cut            power failure: unflushed writes are lost
#   scripts/pi-vm.sh reset          discard its disk
#   scripts/pi-vm.sh e2e            every fault that a kiosk must survive, on a fresh board: docs/pi-vm.md
#   scripts/pi-vm.sh arm64          results on arm64, and what a second of a camera costs there: docs/pi-vm.md
#   scripts/pi-vm.sh models FILE    what an inference of a model file costs there: docs/pi-vm.md
#
# The camera is the kernel's test camera (vivid), a USB camera to programs, which shows a synthetic face. The board has no
# network, as many kiosks; only ssh reaches it.
#
#   $PI_VM_MEMORY  MB of memory: 1024      $PI_VM_PORT   ssh port on this machine: 2222
#   $PI_VM_CPUS    processors: 2           $PI_VM_CPU    their model: cortex-a72 (Raspberry Pi 4); cortex-a76 (5)
#   $PI_VM_BOARD   a name: each name is a board with its own disk: pi-vm
#   $PI_VM_COUNT   1: one processor whose clock is driven by instructions, so that they can be counted; slow
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
folder=${XDG_CACHE_HOME:-$HOME/.cache}/emotion-edge/pi-vm
name=${PI_VM_BOARD:-pi-vm}
port=${PI_VM_PORT:-2222}
board=$folder/boards/$name
BOOT_SECONDS=900 # a busy machine takes many times the usual 60
DOWN_SECONDS=90

usage() { sed -n '2,/^set -euo/{/^set -euo/d;s/^# \{0,1\}//;p}' "$0"; }

fail() {
    echo "pi-vm.sh: error: $1" >&2
    exit "${2:-1}"
}

log() { echo "pi-vm.sh: $1" >&2; }

main() {
    local command=${1:-}
    [[ $name =~ ^[a-z0-9-]+$ ]] || fail "PI_VM_BOARD is '$name', expected small letters, digits and hyphens" 2
    case $command in
    ssh) shift && over_ssh "$@" ;;
    up | status | down | cut | reset)
        [ $# -eq 1 ] || fail "'$command' takes no argument, found '$2'" 2
        "$command"
        ;;
    e2e) shift && exec env PYTHONPATH="$here/scripts" python3 -m pi_vm.e2e "$@" ;;
    arm64 | models) in_python "$@" ;;
    -h | --help | help) usage ;;
    "") usage >&2 && exit 2 ;;
    *) fail "no command '$command'; there are up, ssh, status, down, cut, reset, e2e, arm64, models" 2 ;;
    esac
}

up() {
    if running; then
        log "$name runs already"
        status
        return
    fi
    check_programs
    [ -e "$folder/disk.img" ] || make_image
    wait_for_port
    mkdir -p "$board"
    [ -e "$board/disk.qcow2" ] || make_disk
    write_ssh_config
    start
    wait_for_ssh
    status
}

# in_python MODULE [ARGUMENTS]: of the package pi_vm, which imports this tree's edge.
in_python() {
    local module=$1 python=${PYTHON:-$here/.venv/bin/python}
    command -v "$python" >/dev/null || fail "no $python; 'scripts/run.sh synthetic --max-frames 1' makes it, or name another: PYTHON=..."
    shift
    exec env PYTHONPATH="$here:$here/scripts" "$python" -m "pi_vm.$module" "$@"
}

# The threads of a killed QEMU may hold it a moment longer.
wait_for_port() {
    local tries=50
    while (: </dev/tcp/127.0.0.1/"$port") 2>/dev/null; do
        [ $((tries -= 1)) -gt 0 ] || fail "port $port is taken; name another: PI_VM_PORT=2223 scripts/pi-vm.sh up"
        sleep 0.1
    done
}

check_programs() {
    local missing=() program
    for program in qemu-system-aarch64:qemu-system-arm qemu-img:qemu-utils ssh:openssh-client; do
        command -v "${program%:*}" >/dev/null || missing+=("${program#*:}")
    done
    [ ${#missing[@]} -eq 0 ] || fail "programs are missing; 'sudo apt install ${missing[*]}'"
}

make_image() {
    local as_root=()
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || fail "making the board takes root; run 'scripts/pi_vm/image.sh $folder' as root"
        as_root=(sudo "PI_VM_MIRROR=${PI_VM_MIRROR:-}")
    fi
    log "making the board, once, in $folder"
    "${as_root[@]}" nice "$here/scripts/pi_vm/image.sh" "$folder"
}

# The image is never written: a board's disk holds the differences.
make_disk() {
    qemu-img create -q -f qcow2 -b "$folder/disk.img" -F raw "$board/disk.part"
    mv "$board/disk.part" "$board/disk.qcow2"
}

write_ssh_config() {
    echo "pi-vm $(cat "$folder/host-key.pub")" >"$board/known_hosts"
    cat >"$board/ssh_config" <<END
Host pi-vm
    HostName 127.0.0.1
    Port $port
    User pi
    IdentityFile "$folder/key"
    IdentitiesOnly yes
    HostKeyAlias pi-vm
    UserKnownHostsFile "$board/known_hosts"
    ServerAliveInterval 10
    ServerAliveCountMax 12
    LogLevel ERROR
END
}

# cache=none: QEMU keeps unflushed writes in its own memory, as an SD card's cache does. Killed, it loses those, and nothing
# that the board has flushed.
start() {
    local processor=(-accel "tcg,thread=multi" -smp "${PI_VM_CPUS:-2}")
    [ "${PI_VM_COUNT:-}" != 1 ] || processor=(-accel "tcg,thread=single" -smp 1 -icount "shift=0,sleep=off")
    log "booting $name; about a minute"
    rm -f "$board/pid"
    nice -n 10 qemu-system-aarch64 -M virt -cpu "${PI_VM_CPU:-cortex-a72}" "${processor[@]}" -m "${PI_VM_MEMORY:-1024}" \
        -kernel "$folder/kernel" -initrd "$folder/initrd" -append "console=ttyAMA0 quiet panic=5" \
        -drive "if=none,id=disk,file=$board/disk.qcow2,format=qcow2,cache=none" -device virtio-blk-pci,drive=disk \
        -netdev "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:$port-:22" -device virtio-net-pci,netdev=net,romfile= \
        -device virtio-rng-pci -display none -serial "file:$board/console.log" -monitor none \
        -pidfile "$board/pid" -daemonize || fail "QEMU does not start; see the output above"
}

wait_for_ssh() {
    local start=$SECONDS
    until over_ssh -o ConnectTimeout=5 true 2>/dev/null; do
        running || fail "the board has ended; its console: $board/console.log"
        [ $((SECONDS - start)) -lt $BOOT_SECONDS ] || fail "no ssh after $BOOT_SECONDS s; its console: $board/console.log"
        sleep 0.5
    done
    log "up after $((SECONDS - start)) s"
}

# A process ID from before this machine's boot may be another process today.
running() { [ -s "$board/pid" ] && grep -qsF "$board/pid" "/proc/$(cat "$board/pid")/cmdline"; }

# over_ssh [OPTIONS] [COMMAND]
over_ssh() {
    running || fail "$name does not run; start it with 'scripts/pi-vm.sh up'"
    ssh -F "$board/ssh_config" pi-vm "$@"
}

status() {
    if ! running; then
        echo "$name does not run"
        [ -e "$folder/disk.img" ] || echo "its image is not made yet; 'scripts/pi-vm.sh up' makes it"
        return
    fi
    cat <<END
$name runs (process $(cat "$board/pid")); its console: $board/console.log
user pi, with sudo; ssh port $port on this machine, key $folder/key
    scripts/pi-vm.sh ssh
    EMOTION_EDGE_SSH="ssh -F $board/ssh_config" scripts/deploy.sh pi-vm
END
}

down() {
    running || { echo "$name does not run" && return; }
    over_ssh -o ConnectTimeout=5 sudo systemctl poweroff 2>/dev/null || true
    local start=$SECONDS
    while running; do
        if [ $((SECONDS - start)) -ge $DOWN_SECONDS ]; then
            log "it does not shut down within $DOWN_SECONDS s: it is killed"
            cut
        fi
        sleep 0.2
    done
}

cut() {
    running || fail "$name does not run"
    kill -KILL "$(cat "$board/pid")"
    while running; do sleep 0.05; done
    rm -f "$board/pid"
}

reset() {
    ! running || fail "$name runs; 'scripts/pi-vm.sh down' first"
    rm -rf "$board"
}

main "$@"
