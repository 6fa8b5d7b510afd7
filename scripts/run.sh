#!/usr/bin/env bash
# Set up what `edge run` needs, once, and run it: scripts/run.sh [SOURCE] [OPTIONS], see `edge run --help`.
set -euo pipefail
here=$(pwd)
cd "$(dirname "$0")/.."
. scripts/venv.sh

# sinks_named ARGUMENTS: print the sinks in these arguments, and in the file of --config, that have an extra in
# pyproject.toml.
sinks_named() {
    grep -oE -- '(^| )(-s|--sink)[ =]?(mqtt|web|window)\b' <<<"$* $(sinks_of_config "$@")" | grep -oE '[a-z]+$' || true
}

# sinks_of_config ARGUMENTS: print the sinks in the file of --config as options. `edge run` says what is wrong with it.
sinks_of_config() {
    local previous='' argument file=''
    for argument; do
        [ "$previous" != --config ] || file=$argument
        [[ $argument != --config=* ]] || file=${argument#--config=}
        previous=$argument
    done
    (cd "$here" && "$python" -c 'import sys, tomllib
with open(sys.argv[1], "rb") as file:
    print(*("--sink " + sink for sink in tomllib.load(file)["sinks"]))' "$file") 2>/dev/null || true
}

# target_of PYTHON: print the name of its lock.
target_of() {
    "$1" -c 'import platform, struct, sys
machine = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
print(machine + "-py%d.%d" % sys.version_info[:2] + ("" if struct.calcsize("P") == 8 else "-32bit"))'
}

# lines_of LOCK EXTRAS: print the packages that are always installed and those of these extras.
lines_of() { sed -nE "/ # /!p; s/ # (.* )?(${2:-none})( .*)?$//p" "$1"; }

# locked_packages LOCK EXTRAS: print what is installed from a lock, with the build tools. pip is there already.
locked_packages() {
    grep -v '^pip==' scripts/locks/build.txt
    lines_of "$1" "$2"
    [ -z "$system_packages" ] || sed -n '/^simplejpeg==/s/ #.*//p' "$1"
}

python=$(find_python 11 12 13) || fail "no Python 3.11 to 3.13 with venv; 'sudo apt install python3 python3-venv'"
options=() install=() system_packages=
# picamera2 comes with Raspberry Pi OS and cannot be installed by pip; gpiozero and its pin library are packages of apt,
# too. Where one of them is, the environment must see it. picamera2's helper simplejpeg, built for the system's numpy,
# does not load beside a newer one, so the environment gets its own.
if "$python" -c 'import importlib.util as u, sys; sys.exit(not any(map(u.find_spec, ("picamera2", "gpiozero"))))'; then
    options=(--system-site-packages)
    system_packages=yes
fi
# The extra of a sink is installed when it is first named, and kept.
extras=$({ sinks_named "$@" && { cat .venv/.extras 2>/dev/null || true; }; } | sort -u | paste -sd ,)
lock=scripts/locks/$(target_of "$python").txt
if [ -e "$lock" ]; then
    pinned=$(locked_packages "$lock" "${extras//,/|}")
    # What pip finds in the system's packages counts as installed and may be of any version.
    pinned_options=(--no-compile ${system_packages:+--ignore-installed})
    install=(--no-deps --no-build-isolation)
else
    setup_note="no $lock: packages are installed without checking their hashes; scripts/bundle.sh --lock makes locks"
    is_32_bit "$python" || install=(-c scripts/constraints.txt)
    [ -z "$system_packages" ] || install+=(--ignore-installed simplejpeg)
fi
make_venv .venv "$python" "${options[@]}" -- --no-compile "${install[@]}" -e ".${extras:+[$extras]}"
[ -z "$extras" ] || tr , '\n' <<<"$extras" >.venv/.extras
# Nothing is installed into it later, so pip and setuptools would only take room (27 MB).
if compgen -G ".venv/lib/python3*/site-packages/pip" >/dev/null; then
    mapfile -t build_tools < <(sed 's/==.*//' scripts/locks/build.txt)
    .venv/bin/python -m pip uninstall --quiet --yes setuptools "${build_tools[@]}" 2>/dev/null
fi
root=$PWD
cd "$here" # paths on the command line are the caller's
exec "$root/.venv/bin/edge" run "$@"
