#!/usr/bin/env bash
# Set up what the tests need, once, and run them all, in three environments:
#   .venv-test    everything, in the newest versions: the whole suite
#   .venv-edge    the base package in the versions of run.sh, no TensorFlow or Keras: all tests but the trainer's
#   .venv-tflite  tflite-runtime 2.14 with the old numpy and OpenCV that it needs (Python 3.11 only): the same tests
# Tests of a broker, a browser, a screen and a login need programs that .ci/run names; without them they are left out.
# Arguments are handed to pytest in the first environment, and then only that one runs: scripts/test.sh tests/edge/inference/test_model_file.py
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/venv.sh

python=$(find_python 11 12 13) || fail "no Python 3.11 to 3.13 with venv; 'sudo apt install python3 python3-venv'"
test_tools=("pytest>=8" "pytest-timeout>=2" "scikit-image>=0.24" "gpiozero>=2")
make_venv .venv-test "$python" -- -e '.[trainer,mqtt,window,web]' "${test_tools[@]}" "prometheus_client>=0.21" "jax[cpu]>=0.4" \
    "scipy>=1.11" "ruff==0.17.*" "mypy==2.4.*"
if [ $# -gt 0 ]; then
    exec .venv-test/bin/python -m pytest "$@"
fi

make_venv .venv-edge "$python" -- -c scripts/constraints.txt -e . "${test_tools[@]}"
if old=$(find_python 11); then
    make_venv .venv-tflite "$old" -- tflite-runtime==2.14.0 "numpy<2" "opencv-python-headless>=4.10,<4.12" "typer>=0.15" \
        "${test_tools[@]}"
    # Without its dependencies, which would be the newer runtime on this machine.
    [ -e .venv-tflite/bin/edge ] || pip_install .venv-tflite --no-deps -e .
else
    echo "test.sh: tflite-runtime is not tested: its last release needs Python 3.11, which is not here" >&2
fi

echo "== everything but what is slow"
.venv-test/bin/python -m pytest -m "not slow"
echo "== what is slow: the larger networks, several devices, browsers, screens, bundles"
.venv-test/bin/python -m pytest -m slow
echo "== a training on JAX, stopped and resumed"
KERAS_BACKEND=jax .venv-test/bin/python -m pytest tests/trainer/training/test_loop.py -k stopped_and_resumed
echo "== edge alone, without TensorFlow and Keras"
.venv-edge/bin/python -m pytest -m "not keras and not scripts and not slow"
if [ -n "$old" ]; then
    echo "== edge on tflite-runtime"
    .venv-tflite/bin/python -m pytest -m "not keras and not scripts and not slow"
fi
