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
# Where /etc/emotion-edge/allowed_signers exists, a bundle needs SHA256SUMS.sig and a model FILE.sig, by a key in it. Only
# an installer that is on the board already can check that: /opt/emotion-edge/current/install.sh, not the bundle's own.
#
# Files below /opt/emotion-edge, which only root can write; each step is complete before the next one begins:
#   incoming/         root's copy of what is being installed: it is checked there, where nobody can change it afterwards
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
export LC_ALL=C.UTF-8 # what is printable does not depend on the caller

root=${EMOTION_EDGE_ROOT:-}
home=$root/opt/emotion-edge
releases=$home/releases
incoming=$home/incoming
config=$root/etc/emotion-edge/config.toml
allowed_signers=$root/etc/emotion-edge/allowed_signers
units=$root/etc/systemd/system
service=emotion-edge.service
recovery=emotion-edge-recover.service
health_seconds=20
kept_releases=3
reserved_bytes=33554432 # that must stay free after an installation
max_bundle_bytes=1073741824
max_model_bytes=67108864
trial_seconds=600       # for each run of a model that is tried; an emulated board takes minutes
trial_bytes=1610612736  # of addresses; the shipped model runs with 700 MB. The unit limits memory further
incomplete=             # the folder to remove if this process ends now
created=                # the release that this process has made
recovered=              # the release to which this process has gone back from an interrupted deployment
switching=              # not empty while an end would leave a release that has not passed its health check
handed_over=            # not empty if another installer has checked the bundle in `incoming` and started this one
signer=                 # who has signed what is being installed
watchdog_seconds=0       # of the service that was started last, with the owner's drop-ins; 0: off

# ---- text from outside
#
# Manifests, models, systemd and the service hand over text. A value is used in arithmetic, as a path or in a file only if
# it has the form of its kind: then it is no command, does not leave its folder and does not leave its line.

number_form='^(0|[1-9][0-9]{0,17}|[1-8][0-9]{18})$' # below 2^63, and not octal
name_form='^[0-9A-Za-z][0-9A-Za-z._+-]{0,99}$'      # of a release or a version
target_form='^[a-z0-9_]{1,32}-py3\.[0-9]{1,2}(-32bit)?$'
text_form='^[[:print:]]{1,150}$'
declare -A manifest_forms=([release]=$name_form [version]=$name_form [target]=$target_form
    [installed_bytes]=$number_form [model]=$text_form [signed_by]=$text_form)

# printable TEXT [MAX]: print it on one line, without what a terminal would obey or what turns the direction of text.
printable() {
    local text=${1:0:${2:-500}}
    text=${text//[$'\n\r\t']/ }
    text=${text//[![:print:]]/?}
    printf '%s' "${text//[$'\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff']/?}"
}

log() {
    local line
    line=$(printable "$*")
    printf '%s\n' "$line" 2>/dev/null || true # the connection may be gone: a deployment continues without it
    [ -n "$root" ] || logger -t emotion-edge-install -- "$line" || true
}

fail() {
    local status=1
    [[ $1 =~ ^[0-9]+$ ]] && { status=$1 && shift; }
    log "install.sh: error: $*" >&2
    exit "$status"
}

# ---- state

# is_complete NAME: false for what is no name of a release, such as `..`
is_complete() { [[ $1 =~ $name_form ]] && [ -e "$releases/$1/.complete" ]; }

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

# manifest_value FOLDER KEY: print it; nothing if it has not the form of KEY or stands there twice.
manifest_value() {
    local value
    value=$(head -c 8192 "$1/manifest" | tr -d '\0' | sed -n "s/^$2=//p")
    [[ ! $value =~ ${manifest_forms[$2]} ]] || printf '%s\n' "$value"
}

# atomic_write FILE [MODE]: write standard input to FILE, completely or not at all, also when the power fails.
atomic_write() {
    rm -f "$1.part"
    cat >"$1.part"
    chmod "${2:-644}" "$1.part"
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

# take_lock: only root can open the lock, so that no user can hold it.
take_lock() {
    mkdir -p "$releases"
    check_owner "$home" "$releases"
    if [ "/proc/$$/fd/9" -ef "$home/lock" ]; then
        handed_over=yes # the lock, too
        return
    fi
    umask 077
    exec 9>>"$home/lock"
    umask 022
    chmod 600 "$home/lock"
    flock --nonblock 9 || fail "another deployment is running on this board; wait until it ends"
}

# check_owner FILE...: whoever else could write them could make root run anything.
check_owner() {
    local file
    for file in "$@"; do
        if [ ! -O "$file" ] || [ -n "$(find -H "$file" -maxdepth 0 -perm /022)" ]; then
            fail "$file: others than root can write it; sudo chown root: $file && sudo chmod go-w $file"
        fi
    done
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

# require_space BYTES: a number.
require_space() {
    local need=$(($1 + reserved_bytes)) free
    read -r free < <(df --output=avail -B1 "$releases" | tail -n 1)
    [[ $free =~ $number_form ]] || fail "$home: df does not tell its free space but '$free'"
    [ "$free" -ge "$need" ] ||
        fail "not enough space at $home: $((need >> 20)) MB needed, $((free >> 20)) MB free; nothing was changed"
}

# stage_bundle BUNDLE: copy it to `incoming`. Links are copied as links, and refused afterwards: they could lead to what only
# root may read.
stage_bundle() {
    local bytes
    [ -e "$1/manifest" ] || fail 2 "$1: not a bundle (no manifest); scripts/bundle.sh makes one"
    read -r bytes _ < <(du --summarize --bytes -- "$1")
    [ "$bytes" -le "$max_bundle_bytes" ] ||
        fail "$1: $((bytes >> 20)) MB, a bundle has at most $((max_bundle_bytes >> 20)) MB; nothing was changed"
    require_space "$bytes"
    mkdir -m 700 "$incoming"
    cp -R --no-dereference -- "$1" "$incoming/bundle"
    [ -z "$(find "$incoming/bundle" ! -type f ! -type d -print -quit)" ] ||
        fail "$1: it has a link or a special file, which no bundle has; nothing was changed"
    chmod -R u=rwX,go=rX "$incoming/bundle"
}

# stage_file FILE NAME: copy a file of at most the size of a model to `incoming`, not through a link.
stage_file() {
    if [ -L "$1" ] || [ ! -f "$1" ]; then fail 2 "$1: not a file, or a link to one; name the file itself"; fi
    dd if="$1" of="$incoming/$2" bs=1M count=$(((max_model_bytes >> 20) + 1)) iflag=nofollow,nonblock,fullblock status=none ||
        fail "$1: cannot be read; nothing was changed"
    [ "$(stat -c %s "$incoming/$2")" -le "$max_model_bytes" ] ||
        fail 78 "$1: a model has at most $((max_model_bytes >> 20)) MB; nothing was changed"
}

# check_bundle FOLDER NAME: the manifest, the signature if this board requires one, and that the checksums are those of all
# files. NAME stands in the messages.
check_bundle() {
    local folder=$1 bundle=$2 key wanted found
    [ -f "$folder/SHA256SUMS" ] || fail "$bundle: damaged: it has no SHA256SUMS; send it again"
    check_signature "$folder/SHA256SUMS" emotion-edge-release "$bundle"
    check_sums "$folder" || fail "$bundle: damaged: its files do not match SHA256SUMS; send it again"
    for key in release version target installed_bytes; do
        [ -n "$(manifest_value "$folder" "$key")" ] || fail "$bundle: its manifest has no usable line '$key='; nothing was changed"
    done
    wanted=$(manifest_value "$folder" target)
    found=$(board_target)
    [ "$wanted" = "$found" ] || fail "$bundle: made for $wanted, this board is $found"
}

# check_sums FOLDER: whether SHA256SUMS has the plain names of all files, and their digests.
check_sums() (
    cd "$1"
    listed=$(sed -nE 's,^[0-9a-f]{64}  ([0-9A-Za-z_.+-]+(/[0-9A-Za-z_.+-]+)*)$,\1,p' SHA256SUMS | sort)
    there=$(find . -type f ! -path ./SHA256SUMS ! -path ./SHA256SUMS.sig -printf '%P\n' | sort)
    [ "$listed" = "$there" ] && sha256sum --check --strict --quiet SHA256SUMS >/dev/null 2>&1
)

# check_signature FILE NAMESPACE NAME: if this board requires signatures, fail unless FILE.sig is a valid one, and set
# `signer`. See ALLOWED SIGNERS in ssh-keygen(1).
check_signature() {
    requires_signatures || return 0
    check_owner "$allowed_signers"
    command -v ssh-keygen >/dev/null ||
        fail "$3: its signature cannot be checked without ssh-keygen; sudo apt install openssh-client"
    [ -f "$1.sig" ] || fail "$3: not signed, and $allowed_signers is there: only what is signed is installed; nothing was changed"
    {
        signer=$(ssh-keygen -Y find-principals -s "$1.sig" -f "$allowed_signers" <"$1" | head -n 1) &&
            ssh-keygen -Y verify -s "$1.sig" -f "$allowed_signers" -n "$2" -I "$signer" <"$1" >/dev/null
    } 2>"$incoming/reason" || fail "$3: its signature is refused, nothing was changed: $(head -n 1 "$incoming/reason")"
}

# requires_signatures: also by a file that cannot be read, or a link that leads nowhere.
requires_signatures() { [ -e "$allowed_signers" ] || [ -L "$allowed_signers" ]; }

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
    begin_release "$2"
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
    chmod 755 "$folder/install.sh"
    complete_release "$folder"
}

# create_model_release NAME OWNER MODEL: it uses the environment of OWNER.
create_model_release() {
    local folder=$releases/$1 owner=$releases/$2 model=$3
    require_space "$(stat -c %s "$model")"
    begin_release "$1"
    ln -s "../$2/venv" "$folder/venv"
    cp -R "$owner/systemd" "$owner/install.sh" "$folder"
    install -m 644 "$model" "$folder/model.tflite"
    { grep -v -e ^release= -e ^model= "$owner/manifest"; echo "release=$1"; } >"$folder/manifest"
    [ -n "$(manifest_value "$owner" signed_by)" ] || signer= # not all of it is signed
    complete_release "$folder"
}

# begin_release NAME
begin_release() {
    [[ $1 =~ $name_form ]] || fail "'$1' is no name of a release; nothing was changed"
    incomplete=$releases/$1 created=$1
    mkdir -p "$incomplete/tmp"
    log "creating $1"
}

# complete_release FOLDER: check it, then mark it as complete, once all of it is on the disk.
complete_release() {
    local folder=$1 model
    log "    testing the model"
    model=$(test_model "$folder")
    { grep -v -e ^model= -e ^signed_by= "$folder/manifest" && echo "model=$model" && echo "signed_by=$(printable "$signer" 150)"; } \
        >"$folder/tmp/manifest"
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
    output=$(as_service "$1" "$edge" --version) ||
        fail "the release does not start, nothing was changed: $(tail -n 1 <<<"$output")"
    output=$(as_service "$1" "$edge" info --json "$model") ||
        fail 78 "the model is refused, nothing was changed: $(tail -n 1 <<<"$output")"
    name=$(python3 -c 'import json, sys
sys.stdout.buffer.write(str(json.load(sys.stdin)["name"])[:100].encode(errors="replace"))' <<<"$output" 2>/dev/null | tr -d '\0') ||
        fail 78 "the model is refused, nothing was changed: its card names it in no way that can be read"
    output=$(as_service "$1" "$edge" run synthetic:fast --max-frames 30 --sink jsonl --model "$model") ||
        fail 78 "the model does not run, nothing was changed: $(tail -n 1 <<<"$output")"
    grep -q '"probabilities"' <<<"$output" || fail 78 "the model classifies no face, nothing was changed"
    echo "$(printable "$name" 100) ($(sha256sum "$model" | cut -c 1-8))"
}

# as_service FOLDER COMMAND...: run it as a user that owns nothing, in the sandbox of the release's unit, with limits of time
# and memory; both outputs go to standard output, at most 1 MB. A folder that is used as / has no users of its own.
as_service() {
    local folder=$1 line as=()
    shift
    if [ -z "$root" ] && [ -d /run/systemd/system ]; then
        as=(systemd-run --quiet --wait --pipe --collect --service-type=exec)
        as+=(--property="RuntimeMaxSec=$trial_seconds" --property="LimitAS=$trial_bytes")
        while read -r line; do as+=(--property="$line"); done < <(sandbox_of "$folder/systemd/$service")
        as+=(--)
    elif [ -z "$root" ]; then
        as=(setpriv --reuid=nobody --regid=nogroup --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all)
    fi
    # Another limit than systemd-run's, which waits for systemd.
    (ulimit -c 0 -v $((trial_bytes >> 10)) && timeout --kill-after=5 $((trial_seconds + 10)) "${as[@]}" "$@" 2>&1) \
        </dev/null 9>&- | head -c 1000000 | tr -d '\0'
}

# sandbox_of UNIT: print what restricts the service, without its devices, folders and times.
sandbox_of() {
    sed -n '/^\[Service\]/,/^\[Install\]/p' "$1" | grep -E '^[A-Z][A-Za-z]+=' | grep -vE \
        '^(Type|NotifyAccess|Environment|EnvironmentFile|ExecStart|Timeout[A-Za-z]+|WatchdogSec|Restart[A-Za-z]*|SupplementaryGroups|DeviceAllow|StateDirectory|StateDirectoryMode|WorkingDirectory)='
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
    echo "$before" | atomic_write "$home/pending" 600
    activate "$name"
    restart_service
    log "started $name; checking its health for $health_seconds s"
    if is_healthy; then
        accept "$name"
        log "running: $(describe_release)"
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
    { history_names | grep -Fxv -- "$1" || true; echo "$1"; } | tail -n 20 | atomic_write "$home/history" 600
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
            log "rolled back to $1, running: $(describe_release)"
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
        recovered=$before
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
        case $key in
        NRestarts | MainPID | *TimestampMonotonic) [[ ! $value =~ $number_form ]] || state[$key]=$value ;;
        ActiveState | SubState | Result) [[ ! $value =~ ^[a-z-]{1,40}$ ]] || state[$key]=$value ;;
        StatusText) state[$key]=$(printable "$value" 200) ;; # the service writes it
        esac
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
    local begin=$SECONDS since='' first=() start_timeout max_silence=45 # since, first: when it was first seen active
    start_timeout=$(unit_seconds TimeoutStartUSec 90 600)
    problem=
    while :; do
        read_state
        if has_ended; then return 1; fi
        if [ "${state[ActiveState]}" = active ]; then
            if [ -z "$since" ]; then
                since=$SECONDS first=("${state[NRestarts]}" "${state[MainPID]}" "${state[WatchdogTimestampMonotonic]}")
                read_watchdog
                [ "$watchdog_seconds" = 0 ] || max_silence=$((watchdog_seconds * 3 / 2))
            fi
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

# unit_seconds NAME UNKNOWN ENDLESS: print a time of the unit, `1min 30s`, in seconds; UNKNOWN if systemd does not tell it,
# ENDLESS if it is infinite or off.
unit_seconds() {
    local text total=0 form='^([0-9]{1,8})(\.[0-9]+)?(us|ms|s|min|h|d|w|month|y) (.*)$'
    local -A seconds=([us]=0 [ms]=0 [s]=1 [min]=60 [h]=3600 [d]=86400 [w]=604800 [month]=2629800 [y]=31557600)
    text="$(manager show "$service" --property "$1" | tr -d '\0' | sed -n "s/^$1=//p" | tail -n 1) "
    case $text in "infinity " | "0 ") echo "$3" && return ;; esac
    while [[ $text =~ $form ]]; do
        total=$((total + 10#${BASH_REMATCH[1]} * seconds[${BASH_REMATCH[3]}]))
        text=${BASH_REMATCH[4]}
    done
    if [ -n "${text# }" ] || [ "$text" = " " ]; then echo "$2"; else echo $((total > 0 ? total : 1)); fi
}

# read_watchdog: systemd tells it only of a service that has started; before, it says infinity.
read_watchdog() {
    watchdog_seconds=$(unit_seconds WatchdogUSec 30 0)
    [ "$watchdog_seconds" != 0 ] || log "note: the watchdog is off, so a service that hangs may pass this check"
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

# is_processing_frames WATCHDOG: whether frames are counted, and the watchdog was fed after that time.
is_processing_frames() {
    [ -n "$(status_field fps)" ] &&
        { [ "$watchdog_seconds" = 0 ] || [ "${state[WatchdogTimestampMonotonic]}" -gt "$1" ]; }
}

# ---- commands

# install_bundle FOLDER: copy and check it; then the release's own installer, which is now known to be right, goes on.
install_bundle() {
    local bundle=$incoming/bundle name
    if [ -z "$handed_over" ]; then
        stage_bundle "$1"
        check_bundle "$bundle" "$1"
        exec bash "$bundle/install.sh" --health-check "$health_seconds" install "$bundle"
    fi
    check_signature "$bundle/SHA256SUMS" emotion-edge-release "$bundle"
    name=$(manifest_value "$bundle" release)
    if is_complete "$name" && [ "$(manifest_value "$releases/$name" target)" != "$(manifest_value "$bundle" target)" ]; then
        remove_release "$name" # the system was upgraded to another Python
    fi
    is_complete "$name" || create_release "$bundle" "$name"
    run_release "$name"
}

# install_model FILE
install_model() {
    local model=$incoming/model.tflite now owner name digest
    [ -r "$1" ] || fail 2 "$1: cannot be read"
    now=$(current)
    [ -n "$now" ] || fail "nothing is installed on this board yet; deploy without --model first"
    mkdir -m 700 "$incoming"
    stage_file "$1" model.tflite
    [ ! -e "$1.sig" ] || stage_file "$1.sig" model.tflite.sig
    check_signature "$model" emotion-edge-model "$1"
    owner=$(venv_owner "$now")
    digest=$(sha256sum "$model" | cut -c 1-8)
    name=$(manifest_value "$releases/$owner" version).m$digest
    ! cmp -s "$model" "$releases/$owner/model.tflite" || name=$owner
    is_complete "$name" || create_model_release "$name" "$owner" "$model"
    run_release "$name"
}

# run_release NAME: a release that runs already is only checked, unless what runs is the one that was made anew.
run_release() {
    local name=$1
    check_config "$name"
    write_default_config "$name"
    read_state
    if [ "$(current)" = "$name" ] && [ "$created" != "$name" ] && [ "${state[ActiveState]}" = active ] && has_units_of "$name"; then
        log "$name is installed already; checking its health for $health_seconds s"
        if is_healthy; then
            accept "$name"
            log "running: $(describe_release)"
            return
        fi
        log "$name failed its health check: $problem; restarting it"
    fi
    switch_to "$name"
    prune "$name"
}

use_release() {
    is_complete "$1" || fail 2 "no release $1 on this board; there are: $(cd "$releases" && echo *)"
    check_target "$1"
    run_release "$1"
}

# check_target NAME: the system may have been upgraded since.
check_target() {
    [ "$(manifest_value "$releases/$1" target)" = "$(board_target)" ] ||
        fail "$1 was made for another Python than this board's; nothing was changed. Deploy a bundle for $(board_target)"
}

roll_back() {
    local name
    if [ -n "$recovered" ]; then # that was the way back; another step would go past the release that worked
        run_release "$recovered"
        return
    fi
    name=$(last_working_except "$(current)")
    [ -n "$name" ] || fail "no earlier release has worked on this board; there is nothing to roll back to"
    check_target "$name"
    check_config "$name"
    switch_to "$name"
}

status() {
    local now signed_by='signatures are not required'
    now=$(current)
    [ -n "$now" ] || { echo "nothing is installed" && return 1; }
    if requires_signatures; then
        signed_by=$(manifest_value "$releases/$now" signed_by)
        signed_by=${signed_by:+signed by $signed_by}
    fi
    describe_release "${signed_by:-not signed}"
    echo
    [ "${state[ActiveState]}" = active ]
}

# describe_release [NOTE]: print one line about what runs.
describe_release() {
    local now line
    now=$(current)
    read_state
    line="$now  $(manifest_value "$releases/$now" model)  ${1:+$1  }$(describe_state)"
    [ ! -e "$home/pending" ] || line+="  (health check pending)"
    printable "$line"
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
    rm -rf "$incoming"
    if [ -n "$switching" ] && [ -e "$home/pending" ]; then
        recover
        [ -z "$(current)" ] || restart_service
    fi
}

# begin_change COMMAND: alone, not stopped by a lost connection, and after recovery from an interrupted call.
begin_change() {
    [ -n "$root" ] || [ "$(id -u)" = 0 ] || fail "run it as root: sudo $0 ..."
    trap '' HUP PIPE
    take_lock
    trap clean_up EXIT # not before: what is there belongs to the holder of the lock
    [ -n "$handed_over" ] || rm -rf "$incoming"
    if [ -e "$home/pending" ]; then
        recover
        # At boot the service follows by itself.
        [ "$1" = recover ] || [ -z "$(current)" ] || restart_service
    fi
    remove_incomplete
}

main() {
    if [ "${1:-}" = --health-check ]; then
        [[ ${2:-} =~ ^(0|[1-9][0-9]{0,4})$ ]] || usage
        health_seconds=$2
        shift 2
    fi
    case "${1:-} $#" in
    "status 1") status ;;
    "install 1" | "install 2" | "model 2" | "use 2" | "rollback 1" | "recover 1") change "$@" ;;
    *) usage ;;
    esac
}

# change COMMAND [ARGUMENT]: in a folder where nobody can put a module that Python would load.
change() {
    local argument=${2:-}
    case "$1" in
    install) argument=$(realpath --canonicalize-missing -- "${argument:-$(dirname "$0")}") ;;
    model) argument=$(realpath --canonicalize-missing --no-symlinks -- "$argument") ;;
    esac
    cd /
    begin_change "$1"
    case "$1" in
    install) install_bundle "$argument" ;;
    model) install_model "$argument" ;;
    use) use_release "$argument" ;;
    rollback) roll_back ;;
    recover) ;;
    esac
}

# On one line, so that bash has read all of the script before it starts: its file may be replaced or removed meanwhile.
main "$@"; exit
