#!/usr/bin/env bash
# Set up what `edge run` needs, once, and run it: scripts/run.sh [SOURCE] [OPTIONS], see `edge run --help`.
set -euo pipefail
here=$(pwd)
cd "$(dirname "$0")/.."
. scripts/venv.sh

python=$(find_python 11 12 13) || fail "no Python 3.11 to 3.13 with venv; 'sudo apt install python3 python3-venv'"
# picamera2 comes with Raspberry Pi OS and cannot be installed by pip, so where it is, the environment must see it.
if "$python" -c 'import importlib.util as u, sys; sys.exit(u.find_spec("picamera2") is None)'; then
    make_venv .venv "$python" --system-site-packages -- --ignore-installed -e . simplejpeg
else
    make_venv .venv "$python" -- -e .
fi
root=$PWD
cd "$here" # paths on the command line are the caller's
exec "$root/.venv/bin/edge" run "$@"
