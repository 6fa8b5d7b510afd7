# Sourced by the other scripts: makes a virtual environment once and brings it up to date when its needs change.
# shellcheck shell=bash

fail() {
    echo "$(basename "$0"): error: $1" >&2
    exit 1
}

# find_python MINOR...: print the first Python 3 of one of these minor versions that can make environments.
find_python() {
    local candidate
    for candidate in "${PYTHON:-python3}" "${@/#/python3.}"; do
        if "$candidate" -c "import sys, venv, ensurepip; sys.exit(str(sys.version_info[1]) not in '$*'.split())" 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

# make_venv FOLDER PYTHON OPTIONS -- PIP ARGUMENTS: create FOLDER with PYTHON and install into it, unless it was installed
# from the same pyproject.toml and constraints with the same arguments before. A half-made environment counts as none.
# The lines of `pinned`, with hashes, are installed first, with the options of `pinned_options`; `setup_note` is printed.
pinned='' pinned_options=() setup_note=''
make_venv() {
    local folder=$1 python=$2 options=() stamp
    shift 2
    while [ "$1" != "--" ]; do
        options+=("$1")
        shift
    done
    shift
    # A call that was killed has left its half of an environment, and beside it the last one that worked.
    if [ -d "$folder.before" ] && [ ! -e "$folder/.stamp" ]; then
        rm -rf "$folder"
        mv "$folder.before" "$folder"
    fi
    stamp=$(cat pyproject.toml scripts/constraints.txt <(echo "$PWD" "$python" "${options[@]}" "$@"; printf '%s' "$pinned") | sha256sum)
    [ "$(cat "$folder/.stamp" 2>/dev/null)" = "$stamp" ] && return
    echo "setting up $folder with $("$python" --version) (once; some minutes on a slow line)" >&2
    [ -z "$setup_note" ] || echo "$setup_note" >&2
    rm -rf "$folder.before"
    [ -d "$folder" ] && mv "$folder" "$folder.before"
    if ! "$python" -m venv "${options[@]}" "$folder"; then
        take_back "$folder" "no virtual environment could be made; 'sudo apt install python3-venv'"
    fi
    if [ -n "$pinned" ]; then
        echo "$pinned" >"$folder/requirements.txt"
        pip_install "$folder" --require-hashes "${pinned_options[@]}" --requirement "$folder/requirements.txt"
    fi
    [ $# -eq 0 ] || pip_install "$folder" "$@"
    echo "$stamp" >"$folder/.stamp"
    rm -rf "$folder.before"
}

# take_back FOLDER MESSAGE: end, with the environment that was there before in place of a half-made one.
take_back() {
    if [ ! -e "$1/.stamp" ]; then
        rm -rf "$1"
        [ -d "$1.before" ] && mv "$1.before" "$1"
    fi
    fail "$2"
}

# pip_install FOLDER ARGUMENTS...
pip_install() {
    local folder=$1 as=()
    shift
    # A 32-bit system on a 64-bit kernel, as Raspberry Pi OS has it, calls itself aarch64 unless setarch names it armv8l.
    is_32_bit "$folder/bin/python" && as=(setarch linux32)
    "${as[@]}" "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$@" ||
        take_back "$folder" "installing into $folder failed; is there a network? Then run this again"
}

is_32_bit() { "$1" -c 'import struct, sys; sys.exit(struct.calcsize("P") != 4)'; }
