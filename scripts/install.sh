#!/usr/bin/env bash
# Install a release on this board completely or not at all, and roll it back if it does not run. This script is part of
# every bundle (scripts/bundle.sh) and of every release on the board; scripts/deploy.sh calls it. Run as root:
#
#   install.sh install [BUNDLE]   the release in the folder BUNDLE, an unpacked bundle; default: the folder of this script
#   install.sh model FILE         the current code with the model FILE
#   install.sh use NAME           the release NAME, which is on the board
#   install.sh rollback           the release that worked before
#   install.sh status             one line: release, model, frames per second, uptime, temperature
#   install.sh recover            at boot: back to the last working release if a deployment was interrupted
#
#   --health-check SECONDS   for which a release has to run well before it counts as working (20)
#
# Files below /opt/emotion-edge; each step is complete before the next one begins:
#   releases/NAME/    venv, model.tflite, units, this script; `.complete` is written last, and a folder without it is removed
#   current           a link to the release that runs; replaced by renaming
#   history           the releases that have worked, the latest one last
#   pending           exists while a release has not passed its health check; holds the release to roll back to
# Whoever finds `pending` while nobody holds the lock (the boot, or the next call) rolls back.
#
# Exit status: 2 usage, 78 a configuration or a model that the release refuses, 1 otherwise.
# EMOTION_EDGE_ROOT: a folder used as /, for tests.
set -euo pipefail
umask 022

root=${EMOTION_EDGE_ROOT:-}
home=$root/opt/emotion-edge
releases=$home/releases
config=$root/etc/emotion-edge/config.toml
units=$root/etc/systemd/system
service=emotion-edge.service
recovery=emotion-edge-recover.service
health_seconds=20
kept_releases=3
reserved_bytes=33554432 # that must stay free after an installation
incomplete=             # the folder to remove if this process ends now
switching=              # not empty while an end would leave a release that has not passed its health check

log() {
    printf '%s\n' "$*" 2>/dev/null || true # the connection may be gone: a deployment continues without it
    [ -n "$root" ] || logger -t emotion-edge-install -- "$*" || true
}

fail() {
    local status=1
    [[ $1 =~ ^[0-9]+$ ]] && { status=$1 && shift; }
    log "install.sh: error: $*" >&2
    exit "$status"
}

# ---- state

is_complete() { [ -e "$releases/$1/.complete" ]; }

current() { [ ! -L "$home/current" ] || basename "$(readlink "$home/current")"; }

history_names() { [ ! -e "$home/history" ] || cat "$home/history"; }

# last_working_except NAME: print the release that worked last, other than NAME; nothing if there is none.
last_working_except() {
    local name found=
    while read -r name; do
        [ "$name" = "$1" ] || ! is_complete "$name" || found=$name
    done < <(history_names)
    echo "$found"
}

# manifest_value FOLDER KEY
manifest_value() { sed -n "s/^$2=//p" "$1/manifest"; }

# atomic_write FILE: write standard input to FILE, completely or not at all, also when the power fails.
atomic_write() {
    cat >"$1.part"
    sync "$1.part"
    mv -T "$1.part" "$1"
    sync "$(dirname "$1")"
}

set_current() {
    rm -f "$home/current.part"
    ln -s "releases/$1" "$home/current.part"
    mv -T "$home/current.part" "$home/current"
    sync "$home"
}

take_lock() {
    mkdir -p "$releases"
    exec 9>"$home/lock"
    flock --nonblock 9 || fail "another deployment is running on this board; wait until it ends"
}

# ---- cleaning up

# remove_release NAME: at no moment does an incomplete release look complete.
remove_release() {
    rm -f "$releases/$1/.complete"
    rm -rf "${releases:?}/$1"
}

remove_incomplete() {
    local folder
    for folder in "$releases"/*/; do
        if [ ! -e "$folder" ] || [ -e "$folder.complete" ]; then continue; fi
        log "removing an incomplete release of an interrupted deployment: $(basename "$folder")"
        rm -rf "$folder"
    done
}

# venv_owner NAME: print the release whose environment NAME uses: itself, unless only its model is its own.
venv_owner() {
    local environment
    environment=$(realpath "$releases/$1/venv")
    basename "$(dirname "$environment")"
}

# prune NAME: keep the current release, the last that worked, NAME, and the releases whose environments they use.
prune() {
    local name folder keep
    keep=$(for name in "$1" "$(current)" $(history_names | tail -n "$kept_releases"); do
        is_complete "$name" && echo "$name" && venv_owner "$name"
    done)
    for folder in "$releases"/*/; do
        name=$(basename "$folder")
        grep -Fxq -- "$name" <<<"$keep" || remove_release "$name"
    done
}

# ---- creating a release

require_space() {
    local need=$(($1 + reserved_bytes)) free
    free=$(df --output=avail -B1 "$releases" | tail -n 1)
    [ "$free" -ge "$need" ] ||
        fail "not enough space at $home: $((need >> 20)) MB needed, $((free >> 20)) MB free; nothing was changed"
}

check_bundle() {
    local bundle=$1 wanted found
    [ -e "$bundle/manifest" ] || fail 2 "$bundle: not a bundle (no manifest); scripts/bundle.sh makes one"
    (cd "$bundle" && sha256sum --check --strict --quiet SHA256SUMS >/dev/null 2>&1) ||
        fail "$bundle: damaged: its files do not match SHA256SUMS; send it again"
    wanted=$(manifest_value "$bundle" target)
    found=$(board_target)
    [ "$wanted" = "$found" ] || fail "$bundle: made for $wanted, this board is $found"
}

board_target() {
    python3 -c 'import platform, struct, sys
machine = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
print(machine + "-py%d.%d" % sys.version_info[:2] + ("" if struct.calcsize("P") == 8 else "-32bit"))' 2>/dev/null ||
        echo "without python3"
}

# create_release BUNDLE NAME
create_release() {
    local bundle=$1 folder=$releases/$2
    require_space "$(manifest_value "$bundle" installed_bytes)"
    begin_release "$folder"
    # At its final place, since an environment cannot be moved. It sees the system's packages for picamera2, which pip
    # cannot install; pip comes with the bundle and is not kept: nothing is installed into the environment later.
    python3 -m venv --without-pip --system-site-packages "$folder/venv" >"$folder/log" 2>&1 ||
        fail "cannot create the virtual environment: $(tail -n 1 "$folder/log")"
    log "    installing $(grep -c . "$bundle/requirements.txt") packages"
    # --ignore-installed: a package of apt is not used, since an upgrade would change it. /tmp may be in memory.
    TMPDIR=$folder/tmp PIP_CONFIG_FILE=/dev/null "$folder/venv/bin/python" "$(echo "$bundle"/tools/pip-*.whl)/pip" install \
        --quiet --no-index --find-links "$bundle/wheelhouse" --require-hashes --ignore-installed --no-cache-dir \
        --disable-pip-version-check --root-user-action=ignore --requirement "$bundle/requirements.txt" \
        >"$folder/log" 2>&1 || fail "installing the packages failed, nothing was changed: $(tail -n 1 "$folder/log")"
    cp -R "$bundle/systemd" "$bundle/install.sh" "$bundle/model.tflite" "$bundle/manifest" "$folder"
    complete_release "$folder"
}

# create_model_release NAME OWNER MODEL: it uses the environment of OWNER.
create_model_release() {
    local folder=$releases/$1 owner=$releases/$2 model=$3
    require_space "$(stat -c %s "$model")"
    begin_release "$folder"
    ln -s "../$2/venv" "$folder/venv"
    cp -R "$owner/systemd" "$owner/install.sh" "$folder"
    cp "$model" "$folder/model.tflite"
    { grep -v -e ^release= -e ^model= "$owner/manifest"; echo "release=$1"; } >"$folder/manifest"
    complete_release "$folder"
}

begin_release() {
    incomplete=$1
    mkdir -p "$1/tmp"
    log "creating $(basename "$1")"
}

# complete_release FOLDER: check it, then mark it as complete, once all of it is on the disk.
complete_release() {
    local folder=$1 model
    log "    testing the model"
    model=$(test_model "$folder")
    { grep -v ^model= "$folder/manifest"; echo "model=$model"; } >"$folder/tmp/manifest"
    mv "$folder/tmp/manifest" "$folder/manifest"
    echo "EMOTION_EDGE_MODEL=$folder/model.tflite" >"$folder/environment"
    rm -rf "$folder/tmp" "$folder/log"
    sync -f "$folder"
    touch "$folder/.complete"
    sync -f "$folder"
    incomplete=
}

# test_model FOLDER: print name and digest of the release's model if it classifies the synthetic camera's faces.
test_model() {
    local edge=$1/venv/bin/edge model=$1/model.tflite output name
    output=$("$edge" --version 2>&1) || fail "the release does not start, nothing was changed: $(tail -n 1 <<<"$output")"
    output=$("$edge" info --json "$model" 2>&1) ||
        fail 78 "the model is refused, nothing was changed: $(tail -n 1 <<<"$output")"
    name=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["name"])' <<<"$output")
    output=$(cd "$1/tmp" && "$edge" run synthetic:fast --max-frames 30 --sink jsonl --model "$model" 2>&1) ||
        fail 78 "the model does not run, nothing was changed: $(tail -n 1 <<<"$output")"
    grep -q '"probabilities"' <<<"$output" || fail 78 "the model classifies no face, nothing was changed"
    echo "$name ($(sha256sum "$model" | cut -c 1-8))"
}

# ---- switching from one release to another

check_config() {
    local edge=$releases/$1/venv/bin/edge directory=$root/var/lib/emotion-edge output
    [ -e "$config" ] || return 0
    [ -d "$directory" ] || directory=/ # relative paths in the configuration start there
    output=$(cd "$directory" && "$edge" config --check "$config" 2>&1) ||
        fail 78 "$1 refuses the configuration, nothing was changed; $output"
    if grep -q '^[[:space:]]*model[[:space:]]*=' "$config"; then
        log "note: $config names a model, which overrides the deployed one"
    fi
}

write_default_config() {
    [ ! -e "$config" ] || return 0
    mkdir -p "$(dirname "$config")"
    atomic_write "$config" <"$releases/$1/systemd/config.toml"
}

# manager ARGUMENTS: systemctl, without this script's lock.
manager() { systemctl "$@" 9>&-; }

# activate NAME: from now on the next start is of NAME.
activate() {
    set_current "$1"
    install_units "$releases/$1/systemd"
    manager daemon-reload
}

install_units() {
    local source=$1 network=$units/$service.d/network.conf unit
    mkdir -p "$units"
    for unit in "$service" "$recovery"; do
        update_file "$source/$unit" "$units/$unit"
    done
    # Opening the network is the owner's decision. Where it is open it stays open, in this release's form.
    [ ! -e "$network" ] || update_file "$source/network.conf" "$network"
}

update_file() { cmp -s "$1" "$2" || atomic_write "$2" <"$1"; }

has_units_of() {
    local unit
    for unit in "$service" "$recovery"; do
        cmp -s "$releases/$1/systemd/$unit" "$units/$unit" || return 1
    done
}

restart_service() {
    manager enable --quiet "$service" "$recovery"
    manager stop "$service"
    manager reset-failed "$service" 2>/dev/null || true # not loaded before, or not failed
    manager start --no-block "$service"
}

# switch_to NAME: run NAME; roll back if it fails its health check.
switch_to() {
    local name=$1 before
    before=$(rollback_target "$name")
    switching=yes
    echo "$before" | atomic_write "$home/pending"
    activate "$name"
    restart_service
    log "started $name; checking its health for $health_seconds s"
    if is_healthy; then
        accept "$name"
        log "running: $(status)"
    else
        log "$name failed its health check: $problem; last lines of its journal:"
        show_journal
        roll_back_to "$before"
        prune "$name"
        exit 1
    fi
}

# rollback_target NAME: print the release to roll back to from NAME: the current one if it has worked, else what worked last.
rollback_target() {
    local now
    now=$(current)
    if [ -n "$now" ] && [ "$now" != "$1" ] && history_names | grep -Fxq -- "$now"; then
        echo "$now"
    else
        last_working_except "$1"
    fi
}

# accept NAME: it has worked.
accept() {
    { history_names | grep -Fxv -- "$1" || true; echo "$1"; } | tail -n 20 | atomic_write "$home/history"
    end_pending
}

end_pending() {
    rm -f "$home/pending"
    sync "$home"
    switching=
}

roll_back_to() {
    if [ -z "$1" ]; then
        log "no earlier release has worked on this board; this one stays, and is tried again at the next boot or deployment"
    else
        activate "$1"
        restart_service
        if is_healthy; then
            log "rolled back to $1, running: $(status)"
        else
            log "rolled back to $1, which fails its health check, too: $problem"
        fi
    fi
    end_pending
}

# recover: after an interrupted deployment, back to the last working release.
recover() {
    local before
    before=$(cat "$home/pending")
    if [ -n "$before" ] && is_complete "$before"; then
        log "a deployment was interrupted before its release had passed the health check; rolling back to $before"
        activate "$before"
    elif [ -n "$(current)" ]; then
        activate "$(current)"
    fi
    end_pending
}

show_journal() {
    local line
    journalctl --unit "$service" --lines 15 --no-pager --output cat 2>/dev/null | while read -r line; do
        log "    $line"
    done || true
}

# ---- health

declare -A state=()

read_state() {
    local key value
    state=([ActiveState]='' [SubState]='' [NRestarts]=0 [MainPID]=0 [StatusText]='' [WatchdogTimestampMonotonic]=0
        [Result]='' [ActiveEnterTimestampMonotonic]=0)
    while IFS='=' read -r key value; do
        [ -z "$key" ] || state[$key]=$value
    done < <(manager show "$service" --property "$(IFS=,; echo "${!state[*]}")")
}

# status_field NAME: print a field of the status, `fps=14.9 faces=1 temperature_c=48`; nothing while no frames come. See
# edge/system/systemd.py.
status_field() {
    if [[ " ${state[StatusText]} " =~ \ $1=(-?[0-9.]+)\  ]]; then echo "${BASH_REMATCH[1]}"; fi
}

# is_healthy: wait until the service is ready and has run well for the time of the health check; otherwise set `problem`.
# Well means: one process, not restarted, that feeds the watchdog, which it does only when a frame has passed all stages,
# and whose status counts frames: while it waits for a missing camera it feeds the watchdog, too.
is_healthy() {
    local begin=$SECONDS since='' first=() start_timeout max_silence # since, first: when it was first seen active
    start_timeout=$(unit_seconds TimeoutStartSec)
    max_silence=$(($(unit_seconds WatchdogSec) * 3 / 2))
    problem=
    while :; do
        read_state
        if has_ended; then return 1; fi
        if [ "${state[ActiveState]}" = active ]; then
            [ -n "$since" ] || since=$SECONDS first=("${state[NRestarts]}" "${state[MainPID]}" "${state[WatchdogTimestampMonotonic]}")
            if was_restarted "${first[@]}"; then return 1; fi
            if is_processing_frames "${first[2]}"; then
                [ $((SECONDS - since)) -lt "$health_seconds" ] || return 0
            elif [ $((SECONDS - since)) -ge $((health_seconds > max_silence ? health_seconds : max_silence)) ]; then
                problem="no frame passed all stages in $((SECONDS - since)) s (${state[StatusText]})"
                return 1
            fi
        elif [ $((SECONDS - begin)) -ge "$start_timeout" ]; then
            problem="not ready after $start_timeout s (${state[ActiveState]}: ${state[StatusText]})"
            return 1
        fi
        sleep 0.5
    done
}

# unit_seconds SETTING: print what the unit says, or the owner's drop-ins, which override it.
unit_seconds() {
    { cat "$units/$service" "$units/$service.d"/*.conf 2>/dev/null || true; } | sed -n "s/^$1=//p" | tail -n 1
}

has_ended() {
    case "${state[ActiveState]}/${state[SubState]}" in
    failed/* | */auto-restart*) problem="it ended (${state[Result]})" ;;
    *) return 1 ;;
    esac
}

was_restarted() {
    [ "${state[NRestarts]} ${state[MainPID]}" != "$1 $2" ] || return 1
    problem="it ended and was restarted"
}

is_processing_frames() { [ "${state[WatchdogTimestampMonotonic]}" -gt "$1" ] && [ -n "$(status_field fps)" ]; }

# ---- commands

install_bundle() {
    local bundle name
    bundle=$(realpath "${1:-$(dirname "$0")}")
    check_bundle "$bundle"
    name=$(manifest_value "$bundle" release)
    if is_complete "$name" && [ "$(manifest_value "$releases/$name" target)" != "$(manifest_value "$bundle" target)" ]; then
        remove_release "$name" # the system was upgraded to another Python
    fi
    is_complete "$name" || create_release "$bundle" "$name"
    run_release "$name"
}

install_model() {
    local model=$1 now owner name digest
    [ -r "$model" ] || fail 2 "$model: cannot be read"
    now=$(current)
    [ -n "$now" ] || fail "nothing is installed on this board yet; deploy without --model first"
    owner=$(venv_owner "$now")
    digest=$(sha256sum "$model" | cut -c 1-8)
    name=$(manifest_value "$releases/$owner" version).m$digest
    ! cmp -s "$model" "$releases/$owner/model.tflite" || name=$owner
    is_complete "$name" || create_model_release "$name" "$owner" "$model"
    run_release "$name"
}

# run_release NAME: a release that runs already is only checked.
run_release() {
    local name=$1
    check_config "$name"
    write_default_config "$name"
    read_state
    if [ "$(current)" = "$name" ] && [ "${state[ActiveState]}" = active ] && has_units_of "$name"; then
        log "$name is installed already; checking its health for $health_seconds s"
        if is_healthy; then
            accept "$name"
            log "running: $(status)"
            return
        fi
        log "$name failed its health check: $problem; restarting it"
    fi
    switch_to "$name"
    prune "$name"
}

use_release() {
    is_complete "$1" || fail 2 "no release $1 on this board; there are: $(cd "$releases" && echo *)"
    [ "$(manifest_value "$releases/$1" target)" = "$(board_target)" ] || fail "$1 was made for another Python than this board's"
    run_release "$1"
}

roll_back() {
    local name
    name=$(last_working_except "$(current)")
    [ -n "$name" ] || fail "no earlier release has worked on this board; there is nothing to roll back to"
    check_config "$name"
    switch_to "$name"
}

status() {
    local now line
    now=$(current)
    [ -n "$now" ] || { echo "nothing is installed" && return 1; }
    read_state
    line="$now  $(manifest_value "$releases/$now" model)  $(describe_state)"
    [ ! -e "$home/pending" ] || line+="  (health check pending)"
    echo "$line"
    [ "${state[ActiveState]}" = active ]
}

# describe_state: print frames per second, uptime and temperature; or why there are none.
describe_state() {
    local text=${state[StatusText]} fps temperature
    if [ "${state[ActiveState]}" != active ]; then
        echo "${state[ActiveState]:-unknown} ${state[Result]}${text:+: $text}"
        return
    fi
    fps=$(status_field fps)
    temperature=$(status_field temperature_c)
    [ -z "$fps" ] || text="$fps fps"
    echo "$text  up $(format_duration "$(uptime_seconds)")${temperature:+  $temperature °C}"
}

uptime_seconds() {
    local up
    read -r up _ </proc/uptime
    echo $((${up%.*} - state[ActiveEnterTimestampMonotonic] / 1000000))
}

format_duration() {
    local days=$(($1 / 86400)) hours=$(($1 / 3600 % 24)) minutes=$(($1 / 60 % 60))
    if [ "$days" -gt 0 ]; then echo "$days d $hours h"; elif [ "$hours" -gt 0 ]; then echo "$hours h $minutes min"; else
        echo "$minutes min"
    fi
}

usage() { fail 2 "usage: install.sh [--health-check SECONDS] install [BUNDLE] | model FILE | use NAME | rollback | status | recover"; }

# clean_up: whatever ends this process, an unforeseen error or Ctrl-C, leaves a board that runs what worked.
# shellcheck disable=SC2317 # a trap calls it
clean_up() {
    [ -z "$incomplete" ] || rm -rf "$incomplete"
    if [ -n "$switching" ] && [ -e "$home/pending" ]; then
        recover
        [ -z "$(current)" ] || restart_service
    fi
}

# begin_change COMMAND: alone, not stopped by a lost connection, and after recovery from an interrupted call.
begin_change() {
    [ -n "$root" ] || [ "$(id -u)" = 0 ] || fail "run it as root: sudo $0 ..."
    trap '' HUP PIPE
    trap clean_up EXIT
    take_lock
    if [ -e "$home/pending" ]; then
        recover
        # At boot the service follows by itself.
        [ "$1" = recover ] || [ -z "$(current)" ] || restart_service
    fi
    remove_incomplete
}

main() {
    if [ "${1:-}" = --health-check ]; then
        [[ ${2:-} =~ ^[0-9]+$ ]] || usage
        health_seconds=$2
        shift 2
    fi
    case "${1:-} $#" in
    "status 1") status ;;
    "install 1" | "install 2" | "model 2" | "use 2" | "rollback 1" | "recover 1") change "$@" ;;
    *) usage ;;
    esac
}

change() {
    begin_change "$1"
    case "$1" in
    install) install_bundle "${2:-}" ;;
    model) install_model "$2" ;;
    use) use_release "$2" ;;
    rollback) roll_back ;;
    recover) ;;
    esac
}

# On one line, so that bash has read all of the script before it starts: its file may be replaced or removed meanwhile.
main "$@"; exit
