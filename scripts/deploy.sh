#!/usr/bin/env bash
# Deploy this commit to boards, one after the other, and check that it runs there:
#
#   scripts/deploy.sh pi@kiosk1 pi@kiosk2
#
#   --target T               arm64-py3.11, arm64-py3.13; by default each board is asked
#   --bundle FILE            this bundle instead of one made of this commit
#   --model MODEL            only another model, for the code that runs there: a name, such as fast for models/fast.tflite, or a
#                            FILE; FILE.sig, its signature, goes with it
#   --sign KEY               sign what is made or the model with this private key; see docs/deployment.md
#   --health-check SECONDS   for which a release has to run well before it counts as working (20)
#   --rollback               back to the release that worked before
#   --status                 one line for each board: release, model, frames per second, uptime, temperature
#
# A board's answers are used only if they have the form that is expected, and shown without control characters: a board that
# somebody else has taken over cannot make this machine run, write or show what it likes.
#
# The boards need ssh and sudo, nothing else; rsync, where both sides have it, resumes an interrupted transfer. The ssh
# command and its options: EMOTION_EDGE_SSH="ssh -p 2222 -i key". scripts/install.sh is what runs on the board.
# It stops at the first board that fails. A lost connection interrupts nothing that the board has begun: run it again.
# For many boards, in batches, with those that are off: fleet/ansible, docs/fleet.md.
#
# Exit status: 0 success; 2 usage; 78 a board's configuration or the model is refused; 1 otherwise.
set -euo pipefail

LC_ALL=C.UTF-8 # for what is printable
read -ra ssh <<<"${EMOTION_EDGE_SSH:-ssh}"
# A board that is off is reported soon, and so is a dead connection. ssh uses the first value given: the caller's.
ssh+=(-o ConnectTimeout=15 -o ServerAliveInterval=15)
incoming=emotion-edge-incoming # in the home folder of the remote user
scripts=$(realpath "$(dirname "$0")")
answer_seconds=120 # for a question, with a password that ssh may ask for
answer_bytes=8192

log() { echo "deploy.sh: $(printable "$*")"; }

fail() {
    echo "deploy.sh: error: $(printable "$1")" >&2
    exit "${2:-1}"
}

usage() { fail "$1; see the first lines of $0" 2; }

# ---- text from outside: from boards, and from a bundle that somebody else has made

number_form='^(0|[1-9][0-9]{0,17}|[1-8][0-9]{18})$' # below 2^63, and not octal
name_form='^[0-9A-Za-z][0-9A-Za-z._+-]{0,99}$'      # of a release, and of the folder in a bundle
target_form='^[a-z0-9_]{1,32}-py3\.[0-9]{1,2}(-32bit)?$'
declare -A fact_forms=(
    [machine]='^[a-z0-9_]{1,32}$'
    [python]='^(3\.[0-9]{1,2} (32|64))?$'
    [rsync]='^(yes)?$'
    [free]=$number_form
    [releases]="^(${name_form:1:-1}:${target_form:1:-1}( ${name_form:1:-1}:${target_form:1:-1}){0,30})?$"
    [installer]='^(yes)?$'
    [root]='^(yes|sudo|ask)$'
)

# printable TEXT [MAX]: print it on one line, without what a terminal would obey or what turns the direction of text.
printable() {
    local text=${1:0:${2:-500}}
    text=${text//[$'\n\r\t']/ }
    text=${text//[![:print:]]/?}
    printf '%s' "${text//[$'\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff']/?}"
}

# show HOST: print what comes from it, line by line.
show() {
    local line
    while IFS= read -r -n 2000 line || [ -n "$line" ]; do printf '%s\n' "$(printable "$1: $line" 2000)"; done
}

# ---- boards

declare -A facts=()

# read_facts HOST: set `facts`, with one connection.
read_facts() {
    local key value output status=0
    # shellcheck disable=SC2016 # for the remote shell
    output=$(ask "$1" 'exec 2>/dev/null
        echo "machine=$(uname -m)"
        echo "python=$(python3 -c "import struct, sys; print(\"%d.%d\" % sys.version_info[:2], struct.calcsize(\"P\") * 8)")"
        echo "rsync=$(command -v rsync >/dev/null && echo yes)"
        echo "free=$(df --output=avail -B1 . | tail -n 1 | tr -d " ")"
        home=${EMOTION_EDGE_ROOT:-}/opt/emotion-edge
        echo "releases=$(cd "$home/releases" && for each in */.complete; do
            [ ! -e "$each" ] || echo "${each%/*}:$(sed -n "s/^target=//p" "${each%/*}/manifest")"
        done | paste -sd " ")"
        echo "installer=$([ -e "$home/current/install.sh" ] && echo yes)"
        if [ "$(id -u)" = 0 ]; then echo root=yes; elif sudo -n true; then echo root=sudo; else echo root=ask; fi
        ') || status=$?
    [ "$status" = 0 ] || set_problem "does not answer: $(last_error "$status")" || return
    facts=()
    while IFS='=' read -r key value; do
        case $key in # other lines are what the board's login greets with
        machine | python | rsync | free | releases | installer | root) facts[$key]=$value ;;
        esac
    done <<<"$output"
    for key in "${!fact_forms[@]}"; do
        facts[$key]=${facts[$key]:-}
        [[ ${facts[$key]} =~ ${fact_forms[$key]} ]] ||
            set_problem "gives an answer that is not understood, $key='$(printable "${facts[$key]}" 80)'; nothing was changed" || return
    done
}

# set_problem TEXT: why the current host failed. Always false.
set_problem() {
    problem=$1
    return 1
}

# last_error STATUS: what the last question that ended with this status has written to stderr.
last_error() {
    local text
    if [ "$1" = 124 ]; then
        echo "no answer within $answer_seconds s"
    else
        text=$(tail -c 2000 "$work/error" | tr -d '\0\r' | tail -n 1)
        echo "${text:-exit status $1 without a message}"
    fi
}

# ask HOST COMMAND: print the beginning of its output, which may be without an end.
ask() {
    # Not a pipe for the errors: a connection that ssh shares with later calls would keep it open. -f: blocks of 1 kB.
    (ulimit -f 1024 && exec timeout --foreground "$answer_seconds" "${ssh[@]}" "$1" "$2") </dev/null 2>"$work/error" |
        head -c "$answer_bytes" | tr -d '\0'
}

# remote HOST COMMAND: show its output; without standard input, so that it does not consume that of a loop.
remote() { "${ssh[@]}" "$1" "$2" </dev/null 2>&1 | show "$1"; }

# as_root HOST COMMAND: sudo may need a password. It is asked for here, since a board's own question could contain anything.
as_root() {
    local password
    case "${facts[root]}" in
    yes) remote "$1" "$2" ;;
    sudo) remote "$1" "sudo -n $2" ;;
    ask)
        [ -t 0 ] || set_problem "needs a password for sudo, and there is no terminal" || return
        read -rs -p "$1: password for sudo: " password
        echo
        printf '%s\n' "$password" | "${ssh[@]}" "$1" "sudo -S -p '' $2" 2>&1 | show "$1"
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

# choose_bundle: set `bundle` to the one for the current host, making it if needed, and what is to be known about it.
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
    read_bundle || set_problem "cannot get $bundle: not a bundle that scripts/bundle.sh has made" || return
    [ "$bundle_target" = "$found" ] || set_problem "is $found, the bundle is for $bundle_target"
}

make_bundle() {
    log "making the bundle for $1"
    bundles[$1]=$("$scripts/bundle.sh" --target "$1" ${key:+--sign "$key"} | tail -n 1)
}

# read_bundle: set `folder`, the only one in the bundle, and `release` and `bundle_target`. They become part of commands that
# root runs on the board.
read_bundle() {
    local manifest
    folder=$(tar -tf "$bundle" 2>/dev/null | cut -d / -f 1 | sort -u | head -c 1000)
    [[ $folder =~ $name_form ]] || return
    manifest=$(tar -xOf "$bundle" -- "$folder/manifest" 2>/dev/null | head -c 8192 | tr -d '\0')
    release=$(sed -n 's/^release=//p' <<<"$manifest")
    bundle_target=$(sed -n 's/^target=//p' <<<"$manifest")
    [[ $release =~ $name_form && $bundle_target =~ $target_form ]]
}

# send_bundle HOST: to a folder of its own, in which an interrupted transfer is resumed.
send_bundle() {
    local bytes
    bytes=$(stat -L -c %s "$bundle")
    [ "${facts[free]}" -ge "$bytes" ] ||
        set_problem "has not enough space: $((bytes >> 20)) MB needed, $((facts[free] >> 20)) MB free; nothing was changed" || return
    log "$1: sending $((bytes >> 20)) MB"
    # Remains of another bundle are removed.
    if ! remote "$1" "mkdir -p $incoming/$folder && find $incoming -mindepth 1 -maxdepth 1 ! -name $folder -exec rm -rf {} +" ||
        ! transfer "$1"; then
        set_problem "did not receive the bundle; run this again to resume"
    fi
}

transfer() {
    if [ -n "${facts[rsync]}" ] && command -v rsync >/dev/null; then
        [ -d "$work/$folder" ] || tar -xf "$bundle" -C "$work" || return
        rsync --archive --partial --delete --rsh="${ssh[*]}" "$work/$folder/" "$1:$incoming/$folder/" 2>&1 | show "$1"
    else
        "${ssh[@]}" "$1" "tar -xf - -C $incoming" <"$bundle" 2>&1 | show "$1"
    fi
}

# deploy_bundle HOST: a release that is installed already is not sent, unless it is of the Python that the board had before
# an upgrade. An installer that is there checks the bundle before anything of it runs.
deploy_bundle() {
    local status=0 installer=$installed
    choose_bundle || return
    if [[ " ${facts[releases]} " == *" $release:$bundle_target "* ]]; then
        run_installer "$1" "$remote_home/releases/$release/install.sh" "use $release"
        return
    fi
    send_bundle "$1" || return
    [ -n "${facts[installer]}" ] || installer=$incoming/$folder/install.sh
    run_installer "$1" "$installer" "install $incoming/$folder" || status=$?
    remove_incoming "$1" "$status"
    return "$status"
}

deploy_model() {
    local status=0
    log "$1: sending $(basename "$model")"
    prepare_model || set_problem "cannot get $model: it was not signed" || return
    "${ssh[@]}" "$1" "rm -rf $incoming && mkdir $incoming && tar -xf - -C $incoming" <"$work/model.tar" 2>&1 | show "$1" ||
        set_problem "did not receive the model" || return
    run_installer "$1" "$installed" "model $incoming/model.tflite" || status=$?
    remove_incoming "$1" "$status"
    return "$status"
}

# prepare_model: once, an archive with the model and its signature.
prepare_model() {
    [ ! -e "$work/model.tar" ] || return 0
    mkdir -p "$work/model"
    cp -- "$model" "$work/model/model.tflite"
    [ -z "$key" ] || "$scripts/bundle.sh" --sign "$key" "$model" >/dev/null || return
    [ ! -e "$model.sig" ] || cp -- "$model.sig" "$work/model/model.tflite.sig"
    tar -cf "$work/model.tar" -C "$work/model" .
}

# remove_incoming HOST STATUS: unless the installer may still need it.
remove_incoming() { [ "$2" = "$disconnected" ] || remote "$1" "rm -rf $incoming" >/dev/null || true; }

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
        line=$(ask "$host" "[ -e $installed ] || { echo nothing is installed; exit 1; }; bash $installed status") || status=$?
        case $status in "$disconnected" | 124) line="does not answer: $(last_error "$status")" ;; esac
        [ "$status" = 0 ] || code=1
        printable "$host  ${line:-$(last_error "$status")}"
        echo
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
    [ "$status" = 0 ] || echo "deploy.sh: error: $(printable "$host $problem")" >&2
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
action=deploy target='' given_bundle='' model='' key='' health_seconds=20 hosts=()
problem='' bundle='' folder='' release='' bundle_target=''
declare -A bundles=() # made by this call, by target
while [ $# -gt 0 ]; do
    case "$1" in
    --rollback | --status) action=${1#--} && shift && continue ;;
    --target | --bundle | --model | --sign | --health-check) [ $# -ge 2 ] || usage "$1 needs a value" ;;
    -*) usage "unknown option $1" ;;
    *) hosts+=("$1") && shift && continue ;;
    esac
    case "$1" in
    --target) target=$2 ;;
    --bundle) given_bundle=$2 ;;
    --model)
        model=$2 action=model
        # As for edge run: a word is a name, if there is a model of that name.
        if [[ $2 != */* ]] && [ -e "$scripts/../models/$2.tflite" ]; then model=$scripts/../models/$2.tflite; fi
        ;;
    --sign) key=$2 ;;
    --health-check) health_seconds=$2 ;;
    esac
    shift 2
done
[ ${#hosts[@]} -gt 0 ] || usage "name at least one board, e.g. pi@kiosk1"
[[ $health_seconds =~ ^(0|[1-9][0-9]{0,4})$ ]] || usage "--health-check is '$health_seconds', expected seconds, e.g. 20"
[ -z "$key" ] || [ -z "$given_bundle" ] || usage "--sign signs what is made here; sign this file: scripts/bundle.sh --sign KEY FILE"
for file in "$given_bundle" "$model" "$key"; do
    [ -z "$file" ] || [ -r "$file" ] || fail "$file: cannot be read" 2
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ "$action" = status ]; then show_status; else handle_all; fi
