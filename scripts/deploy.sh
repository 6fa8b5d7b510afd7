#!/usr/bin/env bash
# Deploy this commit to boards, one after the other, and check that it runs there:
#
#   scripts/deploy.sh pi@kiosk1 pi@kiosk2
#
#   --target T               arm64-py3.11, arm64-py3.13; by default each board is asked
#   --bundle FILE            this bundle instead of one made of this commit
#   --model FILE             only another model, for the code that runs there
#   --health-check SECONDS   for which a release has to run well before it counts as working (20)
#   --rollback               back to the release that worked before
#   --status                 one line for each board: release, model, frames per second, uptime, temperature
#
# The boards need ssh and sudo, nothing else; rsync, where both sides have it, resumes an interrupted transfer. The ssh
# command and its options: EMOTION_EDGE_SSH="ssh -p 2222 -i key". scripts/install.sh is what runs on the board.
# It stops at the first board that fails. A lost connection interrupts nothing that the board has begun: run it again.
#
# Exit status: 0 success; 2 usage; 78 a board's configuration or the model is refused; 1 otherwise.
set -euo pipefail

read -ra ssh <<<"${EMOTION_EDGE_SSH:-ssh}"
# A board that is off is reported soon, and so is a dead connection. ssh uses the first value given: the caller's.
ssh+=(-o ConnectTimeout=15 -o ServerAliveInterval=15)
incoming=emotion-edge-incoming # in the home folder of the remote user
scripts=$(realpath "$(dirname "$0")")

log() { echo "deploy.sh: $*"; }

fail() {
    echo "deploy.sh: error: $1" >&2
    exit "${2:-1}"
}

usage() { fail "$1; see the first lines of $0" 2; }

declare -A facts=()

# read_facts HOST: set `facts`, with one connection.
read_facts() {
    local key value output
    # shellcheck disable=SC2016 # for the remote shell
    output=$(remote "$1" 'exec 2>/dev/null
        echo "machine=$(uname -m)"
        echo "python=$(python3 -c "import struct, sys; print(\"%d.%d\" % sys.version_info[:2], struct.calcsize(\"P\") * 8)")"
        echo "rsync=$(command -v rsync)"
        echo "free=$(df --output=avail -B1 . | tail -n 1)"
        echo "releases=$(cd "${EMOTION_EDGE_ROOT:-}/opt/emotion-edge/releases" && dirname -- */.complete | paste -sd " ")"
        if [ "$(id -u)" = 0 ]; then echo root=yes; elif sudo -n true; then echo root=sudo; else echo root=ask; fi
        ' 2>"$work/error") || set_problem "does not answer: $(last_error)" || return
    facts=()
    while IFS='=' read -r key value; do facts[$key]=$value; done <<<"$output"
}

# set_problem TEXT: why the current host failed. Always false.
set_problem() {
    problem=$1
    return 1
}

last_error() { tail -n 1 "$work/error" | tr -d '\r'; }

# remote HOST COMMAND: without standard input, so that it does not consume that of a loop.
remote() { "${ssh[@]}" "$1" "$2" </dev/null; }

# as_root HOST COMMAND: sudo may ask for a password if there is a terminal.
as_root() {
    case "${facts[root]}" in
    yes) remote "$1" "$2" 2>&1 | sed -u "s/^/$1: /" ;;
    sudo) remote "$1" "sudo -n $2" 2>&1 | sed -u "s/^/$1: /" ;;
    *)
        [ -t 0 ] || set_problem "needs a password for sudo, and there is no terminal" || return
        "${ssh[@]}" -t "$1" "sudo $2"
        ;;
    esac
}

# target_of_host: print the target of the current host.
target_of_host() {
    local machine=${facts[machine]} version bits
    read -r version bits <<<"${facts[python]}"
    [ "$machine" != aarch64 ] || machine=arm64
    if [ "${bits:-64}" != 64 ]; then machine=$bits-bit-$machine; fi
    echo "$machine-py${version:-?}"
}

# choose_bundle: set `bundle` to the one for the current host, making it if needed, and `release` to its release.
choose_bundle() {
    local found
    found=$(target_of_host)
    [ -z "$target" ] || [ "$target" = "$found" ] || set_problem "is $found, not $target" || return
    if [ -n "$given_bundle" ]; then
        bundle=$given_bundle
    else
        [ -n "${bundles[$found]:-}" ] || make_bundle "$found" || set_problem "is $found; no bundle could be made for it" || return
        bundle=${bundles[$found]}
    fi
    release=$(bundle_value release) || set_problem "cannot get $bundle: not a bundle" || return
    [ "$(bundle_value target)" = "$found" ] || set_problem "is $found, the bundle is for $(bundle_value target)"
}

make_bundle() {
    log "making the bundle for $1"
    bundles[$1]=$("$scripts/bundle.sh" --target "$1" | tail -n 1)
}

bundle_value() { tar -xOf "$bundle" --wildcards '*/manifest' 2>/dev/null | sed -n "s/^$1=//p" | grep .; }

# send_bundle HOST: to a folder of its own, in which an interrupted transfer is resumed.
send_bundle() {
    local name bytes
    name=$(folder_of_bundle)
    bytes=$(stat -c %s "$bundle")
    [ "${facts[free]}" -ge "$bytes" ] ||
        set_problem "has not enough space: $((bytes >> 20)) MB needed, $((facts[free] >> 20)) MB free; nothing was changed" || return
    log "$1: sending $((bytes >> 20)) MB"
    # Remains of another bundle are removed.
    if ! remote "$1" "mkdir -p $incoming/$name && find $incoming -mindepth 1 -maxdepth 1 ! -name $name -exec rm -rf {} +" ||
        ! transfer "$1" "$name"; then
        set_problem "did not receive the bundle; run this again to resume"
    fi
}

folder_of_bundle() { tar -tf "$bundle" | head -n 1 | cut -d / -f 1; }

transfer() {
    if [ -n "${facts[rsync]}" ] && command -v rsync >/dev/null; then
        [ -d "$work/$2" ] || tar -xf "$bundle" -C "$work"
        rsync --archive --partial --delete --rsh="${ssh[*]}" "$work/$2/" "$1:$incoming/$2/"
    else
        "${ssh[@]}" "$1" "tar -xf - -C $incoming" <"$bundle"
    fi
}

# deploy_bundle HOST: a release that is installed already is not sent.
deploy_bundle() {
    local status=0
    choose_bundle || return
    if [[ " ${facts[releases]} " == *" $release "* ]]; then
        run_installer "$1" "$remote_home/releases/$release/install.sh" "use $release"
        return
    fi
    send_bundle "$1" || return
    run_installer "$1" "$incoming/$(folder_of_bundle)/install.sh" install || status=$?
    [ "$status" = "$disconnected" ] || remote "$1" "rm -rf $incoming" 2>/dev/null || true
    return "$status"
}

deploy_model() {
    local status=0
    log "$1: sending $(basename "$model")"
    "${ssh[@]}" "$1" "mkdir -p $incoming && cat >$incoming/model.tflite" <"$model" || set_problem "did not receive the model" || return
    run_installer "$1" "$installed" "model $incoming/model.tflite" || status=$?
    [ "$status" = "$disconnected" ] || remote "$1" "rm -rf $incoming" 2>/dev/null || true
    return "$status"
}

# run_installer HOST SCRIPT ARGUMENTS: run it there, and show its output.
run_installer() {
    local status=0
    problem="failed"
    as_root "$1" "bash $2 --health-check $health_seconds $3" || status=$?
    [ "$status" != "$disconnected" ] || problem="was disconnected. It finishes by itself; see --status"
    return "$status"
}

# handle HOST: do there what was asked for.
handle() {
    read_facts "$1" || return
    [ "$action" = deploy ] || [ -n "${facts[releases]}" ] || set_problem "has nothing installed yet; deploy to it first" || return
    case "$action" in
    deploy) deploy_bundle "$1" ;;
    model) deploy_model "$1" ;;
    rollback) run_installer "$1" "$installed" rollback ;;
    esac
}

# show_status: one line for each host.
show_status() {
    local host line status code=0
    for host in "${hosts[@]}"; do
        status=0
        line=$(remote "$host" "[ -e $installed ] || { echo nothing is installed; exit 1; }; bash $installed status" \
            2>"$work/error") || status=$?
        [ "$status" != "$disconnected" ] || line="does not answer: $(last_error)"
        [ "$status" = 0 ] || code=1
        echo "$host  ${line:-$(last_error)}"
    done
    return "$code"
}

# handle_all: one host after the other, up to the first that fails.
handle_all() {
    local status=0 number=0 host
    for host in "${hosts[@]}"; do
        handle "$host" || status=$?
        [ "$status" = 0 ] || break
        number=$((number + 1))
    done
    [ "$status" = 0 ] || echo "deploy.sh: error: $host $problem" >&2
    [ ${#hosts[@]} = 1 ] || summary "$number"
    [ "$status" != "$disconnected" ] || status=1
    return "$status"
}

# summary DONE: which of the hosts were deployed, which failed, which were not begun.
summary() {
    local done="${hosts[*]:0:$1}" rest="${hosts[*]:$1 + 1}"
    log "done: ${done:-none}"
    [ "$1" = ${#hosts[@]} ] || log "failed: ${hosts[$1]}; not begun: ${rest:-none}"
}

disconnected=255 # exit status of ssh when the connection, not the command, failed
# shellcheck disable=SC2016 # a variable of the board, for tests; see scripts/install.sh
remote_home='${EMOTION_EDGE_ROOT:-}/opt/emotion-edge'
installed=$remote_home/current/install.sh
action=deploy target='' given_bundle='' model='' health_seconds=20 hosts=()
problem='' bundle='' release=''
declare -A bundles=() # made by this call, by target
while [ $# -gt 0 ]; do
    case "$1" in
    --rollback | --status) action=${1#--} && shift && continue ;;
    --target | --bundle | --model | --health-check) [ $# -ge 2 ] || usage "$1 needs a value" ;;
    -*) usage "unknown option $1" ;;
    *) hosts+=("$1") && shift && continue ;;
    esac
    case "$1" in
    --target) target=$2 ;;
    --bundle) given_bundle=$2 ;;
    --model) model=$2 action=model ;;
    --health-check) health_seconds=$2 ;;
    esac
    shift 2
done
[ ${#hosts[@]} -gt 0 ] || usage "name at least one board, e.g. pi@kiosk1"
[[ $health_seconds =~ ^[0-9]+$ ]] || usage "--health-check is '$health_seconds', expected seconds, e.g. 20"
for file in "$given_bundle" "$model"; do
    [ -z "$file" ] || [ -r "$file" ] || fail "$file: cannot be read" 2
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ "$action" = status ]; then show_status; else handle_all; fi
