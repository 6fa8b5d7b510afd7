#!/usr/bin/env bash
# Bring this commit to boards, one after the other, and see that it runs there:
#
#   scripts/deploy.sh pi@kiosk1 pi@kiosk2
#
#   --target T        arm64-py3.11, arm64-py3.13; without it each board is asked
#   --bundle FILE     this bundle in place of one made of this commit
#   --model FILE      only another model, for the code that runs there
#   --probe SECONDS   that it has to run well there before it counts as working (20)
#   --rollback        back to the release that worked before
#   --status          one line a board: release, model, frames a second, uptime, temperature
#
# It needs ssh and sudo there, nothing else; rsync, where both sides have it, goes on with what was sent before. The ssh
# to use, with its options: EMOTION_EDGE_SSH="ssh -p 2222 -i key". What happens on the board: scripts/install.sh.
# It stops at the first board that fails. A line that is cut stops nothing that the board has begun: call it again.
#
# Exit status: 0 all is well; 2 usage; 78 a board's configuration or the model does not fit; 1 the rest.
set -euo pipefail

read -ra ssh <<<"${EMOTION_EDGE_SSH:-ssh}"
# A board that is off is told soon, and so is a line that is dead. ssh takes the first value that it is given: the caller's.
ssh+=(-o ConnectTimeout=15 -o ServerAliveInterval=15)
place=emotion-edge-incoming # in the home of the user there
scripts=$(realpath "$(dirname "$0")")

say() { echo "deploy.sh: $*"; }

fail() {
    echo "deploy.sh: error: $1" >&2
    exit "${2:-1}"
}

usage() { fail "$1; see the first lines of $0" 2; }

declare -A facts=()

# learn HOST: ask what has to be known of it, in one go.
learn() {
    local key value words
    # shellcheck disable=SC2016 # it is for the shell there
    words=$(on "$1" 'exec 2>/dev/null
        echo "machine=$(uname -m)"
        echo "python=$(python3 -c "import struct, sys; print(\"%d.%d\" % sys.version_info[:2], struct.calcsize(\"P\") * 8)")"
        echo "rsync=$(command -v rsync)"
        echo "free=$(df --output=avail -B1 . | tail -n 1)"
        echo "releases=$(cd "${EMOTION_EDGE_ROOT:-}/opt/emotion-edge/releases" && dirname -- */.whole | paste -sd " ")"
        if [ "$(id -u)" = 0 ]; then echo root=yes; elif sudo -n true; then echo root=sudo; else echo root=ask; fi
        ' 2>"$work/error") || failed "does not answer: $(last_error)" || return
    facts=()
    while IFS='=' read -r key value; do facts[$key]=$value; done <<<"$words"
}

# failed WORDS: why the host in hand failed. Always false.
failed() {
    problem=$1
    return 1
}

last_error() { tail -n 1 "$work/error" | tr -d '\r'; }

# on HOST COMMAND: with no input of ours, so that it does not eat that of a loop.
on() { "${ssh[@]}" "$1" "$2" </dev/null; }

# as_root HOST COMMAND: sudo may ask for a password, if there is somebody to ask.
as_root() {
    case "${facts[root]}" in
    yes) on "$1" "$2" 2>&1 | sed -u "s/^/$1: /" ;;
    sudo) on "$1" "sudo -n $2" 2>&1 | sed -u "s/^/$1: /" ;;
    *)
        [ -t 0 ] || failed "wants a password for sudo, and there is no terminal to ask at" || return
        "${ssh[@]}" -t "$1" "sudo $2"
        ;;
    esac
}

# target_of_host: print the target of the board that was asked.
target_of_host() {
    local machine=${facts[machine]} version bits
    read -r version bits <<<"${facts[python]}"
    [ "$machine" != aarch64 ] || machine=arm64
    if [ "${bits:-64}" != 64 ]; then machine=$bits-bit-$machine; fi
    echo "$machine-py${version:-?}"
}

# choose_bundle: set `bundle` to the one for the board that was asked, making it if need be, and `release` to what it holds.
choose_bundle() {
    local found
    found=$(target_of_host)
    [ -z "$target" ] || [ "$target" = "$found" ] || failed "is $found, not $target" || return
    if [ -n "$given_bundle" ]; then
        bundle=$given_bundle
    else
        [ -n "${bundles[$found]:-}" ] || make_bundle "$found" || failed "is $found; no bundle was made for it" || return
        bundle=${bundles[$found]}
    fi
    release=$(about_bundle release) || failed "gets no $bundle: that is no bundle" || return
    [ "$(about_bundle target)" = "$found" ] || failed "is $found, the bundle is for $(about_bundle target)"
}

make_bundle() {
    say "making the bundle for $1"
    bundles[$1]=$("$scripts/bundle.sh" --target "$1" | tail -n 1)
}

about_bundle() { tar -xOf "$bundle" --wildcards '*/manifest' 2>/dev/null | sed -n "s/^$1=//p" | grep .; }

# send_bundle HOST: to a folder of its own, in which a transfer that was cut off goes on.
send_bundle() {
    local name bytes
    name=$(folder_of_bundle)
    bytes=$(stat -c %s "$bundle")
    [ "${facts[free]}" -ge "$bytes" ] ||
        failed "has no room: $((bytes >> 20)) MB needed, $((facts[free] >> 20)) MB free; nothing was changed" || return
    say "$1: sending $((bytes >> 20)) MB"
    # What is left of another bundle is not needed any more.
    if ! on "$1" "mkdir -p $place/$name && find $place -mindepth 1 -maxdepth 1 ! -name $name -exec rm -rf {} +" ||
        ! transfer "$1" "$name"; then
        failed "did not take the bundle; call this again to go on"
    fi
}

folder_of_bundle() { tar -tf "$bundle" | head -n 1 | cut -d / -f 1; }

transfer() {
    if [ -n "${facts[rsync]}" ] && command -v rsync >/dev/null; then
        [ -d "$work/$2" ] || tar -xf "$bundle" -C "$work"
        rsync --archive --partial --delete --rsh="${ssh[*]}" "$work/$2/" "$1:$place/$2/"
    else
        "${ssh[@]}" "$1" "tar -xf - -C $place" <"$bundle"
    fi
}

# deploy_bundle HOST: nothing is sent that is there already.
deploy_bundle() {
    local status=0
    choose_bundle || return
    if [[ " ${facts[releases]} " == *" $release "* ]]; then
        run_installer "$1" "$there/releases/$release/install.sh" "use $release"
        return
    fi
    send_bundle "$1" || return
    run_installer "$1" "$place/$(folder_of_bundle)/install.sh" install || status=$?
    [ "$status" = "$lost" ] || on "$1" "rm -rf $place" 2>/dev/null || true
    return "$status"
}

deploy_model() {
    local status=0
    say "$1: sending $(basename "$model")"
    "${ssh[@]}" "$1" "mkdir -p $place && cat >$place/model.tflite" <"$model" || failed "did not take the model" || return
    run_installer "$1" "$installed" "model $place/model.tflite" || status=$?
    [ "$status" = "$lost" ] || on "$1" "rm -rf $place" 2>/dev/null || true
    return "$status"
}

# run_installer HOST SCRIPT ARGUMENTS: run it there, and show what it says.
run_installer() {
    local status=0
    problem="failed"
    as_root "$1" "bash $2 --probe $probe $3" || status=$?
    [ "$status" != "$lost" ] || problem="was lost while it worked. It ends that by itself; see --status"
    return "$status"
}

# serve HOST: do there what was asked for.
serve() {
    learn "$1" || return
    [ "$action" = deploy ] || [ -n "${facts[releases]}" ] || failed "has nothing installed yet; deploy to it first" || return
    case "$action" in
    deploy) deploy_bundle "$1" ;;
    model) deploy_model "$1" ;;
    rollback) run_installer "$1" "$installed" rollback ;;
    esac
}

# show_status: a line for each host, whatever it is like.
show_status() {
    local host line status code=0
    for host in "${hosts[@]}"; do
        status=0
        line=$(on "$host" "[ -e $installed ] || { echo nothing is installed; exit 1; }; bash $installed status" \
            2>"$work/error") || status=$?
        [ "$status" != "$lost" ] || line="does not answer: $(last_error)"
        [ "$status" = 0 ] || code=1
        echo "$host  ${line:-$(last_error)}"
    done
    return "$code"
}

# serve_all: one host after the other, up to the first that fails.
serve_all() {
    local status=0 number=0 host
    for host in "${hosts[@]}"; do
        serve "$host" || status=$?
        [ "$status" = 0 ] || break
        number=$((number + 1))
    done
    [ "$status" = 0 ] || echo "deploy.sh: error: $host $problem" >&2
    [ ${#hosts[@]} = 1 ] || summary "$number"
    [ "$status" != "$lost" ] || status=1
    return "$status"
}

# summary DONE: which of the hosts were done, which failed, which were not begun.
summary() {
    local done="${hosts[*]:0:$1}" rest="${hosts[*]:$1 + 1}"
    say "done: ${done:-none}"
    [ "$1" = ${#hosts[@]} ] || say "failed: ${hosts[$1]}; not begun: ${rest:-none}"
}

lost=255 # exit status of ssh when the line, not the command, failed
# shellcheck disable=SC2016 # the variable is of the board; it is for trying, see scripts/install.sh
there='${EMOTION_EDGE_ROOT:-}/opt/emotion-edge'
installed=$there/current/install.sh
action=deploy target='' given_bundle='' model='' probe=20 hosts=()
problem='' bundle='' release=''
declare -A bundles=() # of this call, by target
while [ $# -gt 0 ]; do
    case "$1" in
    --rollback | --status) action=${1#--} && shift && continue ;;
    --target | --bundle | --model | --probe) [ $# -ge 2 ] || usage "$1 wants a value" ;;
    -*) usage "unknown: $1" ;;
    *) hosts+=("$1") && shift && continue ;;
    esac
    case "$1" in
    --target) target=$2 ;;
    --bundle) given_bundle=$2 ;;
    --model) model=$2 action=model ;;
    --probe) probe=$2 ;;
    esac
    shift 2
done
[ ${#hosts[@]} -gt 0 ] || usage "name at least one board, as pi@kiosk1"
[[ $probe =~ ^[0-9]+$ ]] || usage "--probe is '$probe', expected seconds, as 20"
for file in "$given_bundle" "$model"; do
    [ -z "$file" ] || [ -r "$file" ] || fail "$file: cannot be read" 2
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ "$action" = status ]; then show_status; else serve_all; fi
