#!/usr/bin/env bash
# Puts a release onto this board, whole or not at all, and takes it back if it does not work. It is part of each bundle
# (scripts/bundle.sh) and of each release on the board; scripts/deploy.sh calls it. As root:
#
#   install.sh install [BUNDLE]   the release in the folder BUNDLE, an unpacked bundle; without it, this script's own one
#   install.sh model FILE         the code that runs now, with the model FILE
#   install.sh use NAME           the release NAME, which is on the board
#   install.sh rollback           the release that worked before
#   install.sh status             one line: release, model, frames a second, uptime, temperature
#   install.sh settle             for the boot: back to what worked, if a deployment was cut off
#
#   --probe SECONDS   that a release has to run well before it counts as working (20)
#
# Below /opt/emotion-edge, where each step is whole before the next one begins:
#   releases/NAME/    venv, model.tflite, unit, this script; `.whole` is written last, and a folder without it is rubbish
#   current           a link to the release that runs; it is replaced by renaming
#   history           the releases that have worked, the latest one last
#   pending           there while a release has yet to show that it works; in it, the one to go back to
# Who finds `pending` when nobody holds the lock - the boot, or the next call - goes back.
#
# Exit status: 2 usage, 78 a configuration or a model that the release refuses, 1 the rest.
# EMOTION_EDGE_ROOT: a folder that stands for /, for trying.
set -euo pipefail
umask 022

root=${EMOTION_EDGE_ROOT:-}
home=$root/opt/emotion-edge
releases=$home/releases
config=$root/etc/emotion-edge/config.toml
units=$root/etc/systemd/system
service=emotion-edge.service
probe=20       # seconds to run well
kept=3         # releases that have worked and stay
spare=33554432 # bytes that must stay free after an installation
unfinished=    # the folder to remove if this process ends now
changing=      # not empty while its end would leave a release that has not shown that it works

say() {
    printf '%s\n' "$*" 2>/dev/null || true # the listener may be gone: a deployment goes on without
    [ -n "$root" ] || logger -t emotion-edge-install -- "$*" || true
}

fail() {
    local status=1
    [[ $1 =~ ^[0-9]+$ ]] && { status=$1 && shift; }
    say "install.sh: error: $*" >&2
    exit "$status"
}

# ---- state

is_whole() { [ -e "$releases/$1/.whole" ]; }

current() { [ ! -L "$home/current" ] || basename "$(readlink "$home/current")"; }

worked() { [ ! -e "$home/history" ] || cat "$home/history"; }

# earlier NAME: print the release that worked last, other than NAME; nothing if there is none.
earlier() {
    local name found=
    while read -r name; do
        [ "$name" = "$1" ] || ! is_whole "$name" || found=$name
    done < <(worked)
    echo "$found"
}

about() { sed -n "s/^$2=//p" "$1/manifest"; }

# write_whole FILE: write standard input to FILE, whole or not at all, also when the power fails.
write_whole() {
    cat >"$1.part"
    sync "$1.part"
    mv -T "$1.part" "$1"
    sync "$(dirname "$1")"
}

point_current() {
    rm -f "$home/current.part"
    ln -s "releases/$1" "$home/current.part"
    mv -T "$home/current.part" "$home/current"
    sync "$home"
}

remember() {
    { worked | grep -Fxv -- "$1" || true; echo "$1"; } | tail -n 20 | write_whole "$home/history"
}

take_lock() {
    mkdir -p "$releases"
    exec 9>"$home/lock"
    flock --nonblock 9 || fail "another deployment is under way on this board; wait for its end"
}

# ---- what is not needed

# remove NAME: at no moment does a release look whole that is not.
remove() {
    rm -f "$releases/$1/.whole"
    rm -rf "${releases:?}/$1"
}

remove_unfinished() {
    local folder
    for folder in "$releases"/*/; do
        if [ ! -e "$folder" ] || [ -e "$folder.whole" ]; then continue; fi
        say "removing what a deployment left that was cut off: $(basename "$folder")"
        rm -rf "$folder"
    done
}

# owner NAME: print the release that has the environment of NAME: itself, unless only its model is its own.
owner() {
    local environment
    environment=$(realpath "$releases/$1/venv")
    basename "$(dirname "$environment")"
}

# prune NAME: keep what runs, the last that worked, NAME, and whatever has their environments.
prune() {
    local name folder keep
    keep=$(for name in "$1" "$(current)" $(worked | tail -n "$kept"); do
        is_whole "$name" && echo "$name" && owner "$name"
    done)
    for folder in "$releases"/*/; do
        name=$(basename "$folder")
        grep -Fxq -- "$name" <<<"$keep" || remove "$name"
    done
}

# ---- making a release

require_room() {
    local need=$(($1 + spare)) free
    free=$(df --output=avail -B1 "$releases" | tail -n 1)
    [ "$free" -ge "$need" ] ||
        fail "no room at $home: $((need >> 20)) MB needed, $((free >> 20)) MB free; nothing was changed"
}

require_fit() {
    local bundle=$1 wanted found
    [ -e "$bundle/manifest" ] || fail 2 "$bundle: no bundle (no manifest in it); scripts/bundle.sh makes one"
    (cd "$bundle" && sha256sum --check --strict --quiet SHA256SUMS >/dev/null 2>&1) ||
        fail "$bundle: damaged: its files do not match its SHA256SUMS; send it again"
    wanted=$(about "$bundle" target)
    found=$(target_of_this_machine)
    [ "$wanted" = "$found" ] || fail "$bundle: made for $wanted, this board is $found"
}

target_of_this_machine() {
    python3 -c 'import platform, struct, sys
machine = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
print(machine + "-py%d.%d" % sys.version_info[:2] + ("" if struct.calcsize("P") == 8 else "-32bit"))' 2>/dev/null ||
        echo "without python3"
}

# build BUNDLE NAME
build() {
    local bundle=$1 folder=$releases/$2
    require_room "$(about "$bundle" installed_bytes)"
    begin "$folder"
    # At its final place, as an environment cannot be moved. The system's packages are seen for picamera2, which pip
    # cannot install; pip comes with the bundle and does not stay: nothing is installed into it later.
    python3 -m venv --without-pip --system-site-packages "$folder/venv" >"$folder/log" 2>&1 ||
        fail "no environment could be made: $(tail -n 1 "$folder/log")"
    say "    installing $(grep -c . "$bundle/requirements.txt") packages"
    # --ignore-installed: what apt brings is not counted on, as an upgrade would change it. /tmp may be memory.
    TMPDIR=$folder/tmp PIP_CONFIG_FILE=/dev/null "$folder/venv/bin/python" "$(echo "$bundle"/tools/pip-*.whl)/pip" install \
        --quiet --no-index --find-links "$bundle/wheelhouse" --require-hashes --ignore-installed --no-cache-dir \
        --disable-pip-version-check --root-user-action=ignore --requirement "$bundle/requirements.txt" \
        >"$folder/log" 2>&1 || fail "installing failed, nothing was changed: $(tail -n 1 "$folder/log")"
    cp -R "$bundle/systemd" "$bundle/install.sh" "$bundle/model.tflite" "$bundle/manifest" "$folder"
    seal "$folder"
}

# build_with_model NAME OWNER MODEL: the environment is OWNER's.
build_with_model() {
    local folder=$releases/$1 owner=$releases/$2 model=$3
    require_room "$(stat -c %s "$model")"
    begin "$folder"
    ln -s "../$2/venv" "$folder/venv"
    cp -R "$owner/systemd" "$owner/install.sh" "$folder"
    cp "$model" "$folder/model.tflite"
    { grep -v -e ^release= -e ^model= "$owner/manifest"; echo "release=$1"; } >"$folder/manifest"
    seal "$folder"
}

begin() {
    unfinished=$1
    mkdir -p "$1/tmp"
    say "making $(basename "$1")"
}

# seal FOLDER: check it, then mark it as whole, when all of it is on the disk.
seal() {
    local folder=$1 model
    say "    trying the model"
    model=$(model_name "$folder")
    { grep -v ^model= "$folder/manifest"; echo "model=$model"; } >"$folder/tmp/manifest"
    mv "$folder/tmp/manifest" "$folder/manifest"
    echo "EMOTION_EDGE_MODEL=$folder/model.tflite" >"$folder/environment"
    rm -rf "$folder/tmp" "$folder/log"
    sync -f "$folder"
    touch "$folder/.whole"
    sync -f "$folder"
    unfinished=
}

# model_name FOLDER: print name and digest of the release's model, if it reads faces: the drawn camera shows some.
model_name() {
    local edge=$1/venv/bin/edge model=$1/model.tflite words name
    words=$("$edge" --version 2>&1) || fail "the release does not start, nothing was changed: $(tail -n 1 <<<"$words")"
    words=$("$edge" info --json "$model" 2>&1) || fail 78 "the model is refused, nothing was changed: $(tail -n 1 <<<"$words")"
    name=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["name"])' <<<"$words")
    words=$(cd "$1/tmp" && "$edge" run synthetic:fast --max-frames 30 --sink jsonl --model "$model" 2>&1) ||
        fail 78 "the model does not run, nothing was changed: $(tail -n 1 <<<"$words")"
    grep -q '"scores"' <<<"$words" || fail 78 "the model reads no face, nothing was changed"
    echo "$name ($(sha256sum "$model" | cut -c 1-8))"
}

# ---- from one release to another

check_config() {
    local edge=$releases/$1/venv/bin/edge place=$root/var/lib/emotion-edge words
    [ -e "$config" ] || return 0
    [ -d "$place" ] || place=/ # paths in the configuration start there
    words=$(cd "$place" && "$edge" config --check "$config" 2>&1) ||
        fail 78 "$1 refuses the configuration, nothing was changed; $words"
    if grep -q '^[[:space:]]*model[[:space:]]*=' "$config"; then
        say "note: $config names a model, which goes before the deployed one"
    fi
}

write_config() {
    [ ! -e "$config" ] || return 0
    mkdir -p "$(dirname "$config")"
    write_whole "$config" <"$releases/$1/systemd/config.toml"
}

# manager ARGUMENTS: systemctl, without our lock.
manager() { systemctl "$@" 9>&-; }

# switch_to NAME: from here on the next start is that of NAME.
switch_to() {
    point_current "$1"
    install_units "$releases/$1/systemd"
    manager daemon-reload
}

install_units() {
    local source=$1 extra=$units/$service.d/network.conf unit
    mkdir -p "$units"
    for unit in "$service" emotion-edge-settle.service; do
        same_file "$source/$unit" "$units/$unit"
    done
    # The way to the network is the owner's to open. Where it is open it stays so, as this release has it.
    [ ! -e "$extra" ] || same_file "$source/network.conf" "$extra"
}

same_file() { cmp -s "$1" "$2" || write_whole "$2" <"$1"; }

units_are_of() {
    local unit
    for unit in "$service" emotion-edge-settle.service; do
        cmp -s "$releases/$1/systemd/$unit" "$units/$unit" || return 1
    done
}

start() {
    manager enable --quiet "$service" emotion-edge-settle.service
    manager stop "$service"
    manager reset-failed "$service" 2>/dev/null || true # not loaded before, or not failed
    manager start --no-block "$service"
}

# change_to NAME: run NAME; go back if it does not run well.
change_to() {
    local name=$1 before
    before=$(fallback "$name")
    changing=yes
    echo "$before" | write_whole "$home/pending"
    switch_to "$name"
    start
    say "started $name; it has to run well for $probe s"
    if runs_well; then
        commit "$name"
        say "it runs: $(status)"
    else
        say "$name does not run: $trouble; its last lines:"
        last_lines
        go_back "$before"
        prune "$name"
        exit 1
    fi
}

# fallback NAME: print where to go back to from NAME: what runs, if it has worked, else what worked last, if any.
fallback() {
    local now
    now=$(current)
    if [ -n "$now" ] && [ "$now" != "$1" ] && worked | grep -Fxq -- "$now"; then
        echo "$now"
    else
        earlier "$1"
    fi
}

commit() {
    remember "$1"
    end_probation
}

end_probation() {
    rm -f "$home/pending"
    sync "$home"
    changing=
}

go_back() {
    if [ -z "$1" ]; then
        say "no earlier release has worked on this board; it stays, and is tried again at the next boot or deployment"
    else
        switch_to "$1"
        start
        if runs_well; then
            say "back to $1, which runs: $(status)"
        else
            say "back to $1, which does not run either: $trouble"
        fi
    fi
    end_probation
}

# settle: after a deployment that was cut off, back to what worked.
settle() {
    local before
    before=$(cat "$home/pending")
    if [ -n "$before" ] && is_whole "$before"; then
        say "a deployment was cut off before its release had shown that it works; back to $before"
        switch_to "$before"
    elif [ -n "$(current)" ]; then
        switch_to "$(current)"
    fi
    end_probation
}

last_lines() {
    local line
    journalctl --unit "$service" --lines 15 --no-pager --output cat 2>/dev/null | while read -r line; do
        say "    $line"
    done || true
}

# ---- is it well?

declare -A seen=()

observe() {
    local key value
    seen=([ActiveState]='' [SubState]='' [NRestarts]=0 [MainPID]=0 [StatusText]='' [WatchdogTimestampMonotonic]=0
        [Result]='' [ActiveEnterTimestampMonotonic]=0)
    while IFS='=' read -r key value; do
        [ -z "$key" ] || seen[$key]=$value
    done < <(manager show "$service" --property "$(IFS=,; echo "${!seen[*]}")")
}

# runs_well: wait until the service is ready and has stayed well for the time of the probe; if not, say why in `trouble`.
# Well: one process, not restarted, that feeds the watchdog, which it does only when a frame has gone the whole way, and
# whose status counts frames: while it waits for a missing camera it feeds the watchdog, too.
runs_well() {
    local begun=$SECONDS since='' first=() ready life # since, first: of the time when it was first seen active
    ready=$(unit_seconds TimeoutStartSec)
    life=$(($(unit_seconds WatchdogSec) * 3 / 2)) # from one sign of life to the next, at most
    trouble=
    while :; do
        observe
        if has_ended; then return 1; fi
        if [ "${seen[ActiveState]}" = active ]; then
            [ -n "$since" ] || since=$SECONDS first=("${seen[NRestarts]}" "${seen[MainPID]}" "${seen[WatchdogTimestampMonotonic]}")
            if is_another "${first[@]}"; then return 1; fi
            if frames_advance "${first[2]}"; then
                [ $((SECONDS - since)) -lt "$probe" ] || return 0
            elif [ $((SECONDS - since)) -ge $((probe > life ? probe : life)) ]; then
                trouble="no frame went the whole way in $((SECONDS - since)) s (${seen[StatusText]})"
                return 1
            fi
        elif [ $((SECONDS - begun)) -ge "$ready" ]; then
            trouble="not ready after $ready s (${seen[ActiveState]}: ${seen[StatusText]})"
            return 1
        fi
        sleep 0.5
    done
}

# unit_seconds SETTING: print what the unit says, or the owner's drop-ins, which come after it.
unit_seconds() {
    { cat "$units/$service" "$units/$service.d"/*.conf 2>/dev/null || true; } | sed -n "s/^$1=//p" | tail -n 1
}

has_ended() {
    case "${seen[ActiveState]}/${seen[SubState]}" in
    failed/* | */auto-restart*) trouble="it ended (${seen[Result]})" ;;
    *) return 1 ;;
    esac
}

is_another() {
    [ "${seen[NRestarts]} ${seen[MainPID]}" != "$1 $2" ] || return 1
    trouble="it ended and was started again"
}

frames_advance() {
    [ "${seen[WatchdogTimestampMonotonic]}" -gt "$1" ] && [[ ${seen[StatusText]} =~ ^[0-9.]+\ frames ]]
}

# ---- commands

install_bundle() {
    local bundle name
    bundle=$(realpath "${1:-$(dirname "$0")}")
    require_fit "$bundle"
    name=$(about "$bundle" release)
    if is_whole "$name" && [ "$(about "$releases/$name" target)" != "$(about "$bundle" target)" ]; then
        remove "$name" # the system was upgraded to another Python
    fi
    is_whole "$name" || build "$bundle" "$name"
    bring_up "$name"
}

install_model() {
    local model=$1 now owner name digest
    [ -r "$model" ] || fail 2 "$model: cannot be read"
    now=$(current)
    [ -n "$now" ] || fail "nothing is installed on this board yet; deploy without --model first"
    owner=$(owner "$now")
    digest=$(sha256sum "$model" | cut -c 1-8)
    name=$(about "$releases/$owner" version).m$digest
    ! cmp -s "$model" "$releases/$owner/model.tflite" || name=$owner
    is_whole "$name" || build_with_model "$name" "$owner" "$model"
    bring_up "$name"
}

# bring_up NAME: nothing is done to what runs already but to look whether it does.
bring_up() {
    local name=$1
    check_config "$name"
    write_config "$name"
    observe
    if [ "$(current)" = "$name" ] && [ "${seen[ActiveState]}" = active ] && units_are_of "$name"; then
        say "$name is there already; it has to run well for $probe s"
        if runs_well; then
            commit "$name"
            say "it runs: $(status)"
            return
        fi
        say "$name does not run well: $trouble; starting it anew"
    fi
    change_to "$name"
    prune "$name"
}

use_release() {
    is_whole "$1" || fail 2 "no release $1 on this board; there are: $(cd "$releases" && echo *)"
    [ "$(about "$releases/$1" target)" = "$(target_of_this_machine)" ] || fail "$1 is for another Python than this board's"
    bring_up "$1"
}

roll_back() {
    local name
    name=$(earlier "$(current)")
    [ -n "$name" ] || fail "no earlier release has worked on this board; there is nothing to go back to"
    check_config "$name"
    change_to "$name"
}

status() {
    local now line
    now=$(current)
    [ -n "$now" ] || { echo "nothing is installed" && return 1; }
    observe
    line="$now  $(about "$releases/$now" model)  $(pace)"
    [ ! -e "$home/pending" ] || line+="  (on probation)"
    echo "$line"
    [ "${seen[ActiveState]}" = active ]
}

# pace: print frames a second, time since the start, temperature; what is not well in their place.
pace() {
    local text=${seen[StatusText]} parts=()
    if [ "${seen[ActiveState]}" != active ]; then
        echo "${seen[ActiveState]:-unknown} ${seen[Result]}${text:+: $text}"
        return
    fi
    [[ $text =~ ^([0-9.]+)\ frames ]] && parts+=("${BASH_REMATCH[1]} fps") || parts+=("$text")
    parts+=("up $(spell_seconds "$(seconds_up)")")
    [[ $text =~ ([0-9-]+)\ degrees ]] && parts+=("${BASH_REMATCH[1]} °C")
    (IFS=' '; printf '%s' "${parts[0]}"; printf '  %s' "${parts[@]:1}"; echo)
}

seconds_up() {
    local up
    read -r up _ </proc/uptime
    echo $((${up%.*} - seen[ActiveEnterTimestampMonotonic] / 1000000))
}

spell_seconds() {
    local days=$(($1 / 86400)) hours=$(($1 / 3600 % 24)) minutes=$(($1 / 60 % 60))
    if [ "$days" -gt 0 ]; then echo "$days d $hours h"; elif [ "$hours" -gt 0 ]; then echo "$hours h $minutes min"; else
        echo "$minutes min"
    fi
}

usage() { fail 2 "usage: install.sh [--probe SECONDS] install [BUNDLE] | model FILE | use NAME | rollback | status | settle"; }

# leave: whatever ended this process, an error that nobody foresaw or Ctrl-C, leaves a board that runs what worked.
# shellcheck disable=SC2317 # a trap calls it
leave() {
    [ -z "$unfinished" ] || rm -rf "$unfinished"
    if [ -n "$changing" ] && [ -e "$home/pending" ]; then
        settle
        [ -z "$(current)" ] || start
    fi
}

# ready_to_change: alone, not to be stopped by a line that is cut, and on what the last call left in order.
ready_to_change() {
    [ -n "$root" ] || [ "$(id -u)" = 0 ] || fail "run it as root: sudo $0 ..."
    trap '' HUP PIPE
    trap leave EXIT
    take_lock
    if [ -e "$home/pending" ]; then
        settle
        # At boot the service follows by itself.
        [ "$1" = settle ] || [ -z "$(current)" ] || start
    fi
    remove_unfinished
}

main() {
    if [ "${1:-}" = --probe ]; then
        [[ ${2:-} =~ ^[0-9]+$ ]] || usage
        probe=$2
        shift 2
    fi
    case "${1:-} $#" in
    "status 1") status ;;
    "install 1" | "install 2" | "model 2" | "use 2" | "rollback 1" | "settle 1") change "$@" ;;
    *) usage ;;
    esac
}

change() {
    ready_to_change "$1"
    case "$1" in
    install) install_bundle "${2:-}" ;;
    model) install_model "$2" ;;
    use) use_release "$2" ;;
    rollback) roll_back ;;
    settle) ;;
    esac
}

# In one line, so that bash has read all of the script before it begins: its file may be replaced or removed meanwhile.
main "$@"; exit
