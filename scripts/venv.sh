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
# from the same pyproject.toml with the same arguments before. A half-made environment counts as none.
make_venv() {
    local folder=$1 python=$2 stamp before=() pip=()
    shift 2
    while [ "$1" != "--" ]; do before+=("$1"); shift; done
    shift
    pip=("$@")
    stamp=$(cat pyproject.toml <(echo "$PWD" "$python" "${before[@]}" "${pip[@]}") | sha256sum)
    [ "$(cat "$folder/.stamp" 2>/dev/null)" = "$stamp" ] && return
    echo "setting up $folder with $("$python" --version) (once; a few minutes on a slow line)" >&2
    rm -rf "$folder"
    "$python" -m venv "${before[@]}" "$folder" || fail "no virtual environment could be made; 'sudo apt install python3-venv'"
    # A 32-bit system on a 64-bit kernel, as Raspberry Pi OS has it, calls itself aarch64 unless told to say armv8l.
    local as=()
    [ "$("$python" -c 'import struct; print(struct.calcsize("P"))')" = 4 ] && as=(setarch linux32)
    "${as[@]}" "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "${pip[@]}" ||
        fail "installing into $folder failed; is there a network? Then run this again"
    echo "$stamp" >"$folder/.stamp"
}
