#!/usr/bin/env bash
# Set up what `edge run` needs, once, and run it: scripts/run.sh [SOURCE] [OPTIONS], see `edge run --help`.
set -euo pipefail
here=$(pwd)
cd "$(dirname "$0")/.."
. scripts/venv.sh

# sinks_named ARGUMENTS: print the sinks in these arguments that have an extra in pyproject.toml.
sinks_named() { grep -oE -- '(^| )(-s|--sink)[ =]?(mqtt|web|window)\b' <<<"$*" | grep -oE '[a-z]+$' || true; }

python=$(find_python 11 12 13) || fail "no Python 3.11 to 3.13 with venv; 'sudo apt install python3 python3-venv'"
constraints=(-c scripts/constraints.txt)
is_32_bit "$python" && constraints=()
options=() extra=()
# picamera2 comes with Raspberry Pi OS and cannot be installed by pip, so where it is, the environment must see it. Its
# helper simplejpeg, built for the system's numpy, does not load beside a newer one, so the environment gets its own.
if "$python" -c 'import importlib.util as u, sys; sys.exit(u.find_spec("picamera2") is None)'; then
    options=(--system-site-packages)
    extra=(--ignore-installed simplejpeg)
fi
# The extra of a sink is installed when it is first named, and kept.
extras=$({ sinks_named "$@" && { cat .venv/.extras 2>/dev/null || true; }; } | sort -u | paste -sd ,)
make_venv .venv "$python" "${options[@]}" -- --no-compile "${constraints[@]}" "${extra[@]}" -e ".${extras:+[$extras]}"
[ -z "$extras" ] || tr , '\n' <<<"$extras" >.venv/.extras
# Nothing is installed into it later, so pip and setuptools would only take room (27 MB).
if compgen -G ".venv/lib/python3*/site-packages/pip" >/dev/null; then
    .venv/bin/python -m pip uninstall --quiet --yes pip setuptools
fi
root=$PWD
cd "$here" # paths on the command line are the caller's
exec "$root/.venv/bin/edge" run "$@"
