#!/usr/bin/env bash
# Train the shipped model from the data: first a network at 96 pixels; then, from its weights and with distillation from
# it, one at 128 pixels that also learns FER+'s label distributions; then the int8 model, and a report on it.
#
#   scripts/recipe.sh fer2013.csv fer2013new.csv [IMAGENET_WEIGHTS.h5]
#
# Takes two to three hours on two CPU cores. It may be stopped at any time: the same command resumes after the last
# completed epoch. On a GPU, set KERAS_BACKEND=jax for the two trainings (with JAX installed); conversion uses TensorFlow.
set -euo pipefail
here=$PWD
cd "$(dirname "$0")/.."
[ $# -ge 2 ] || { echo "usage: scripts/recipe.sh fer2013.csv fer2013new.csv [IMAGENET_WEIGHTS.h5]" >&2; exit 2; }

# caller_path PATH: a path on the command line is relative to the caller's folder.
caller_path() { if [[ $1 != /* && -e $here/$1 ]]; then echo "$here/$1"; else echo "$1"; fi; }

data=$(caller_path "$1") ferplus=$(caller_path "$2") weights=$(caller_path "${3:-imagenet}")
trainer=$(caller_path "${TRAINER:-.venv-trainer/bin/trainer}")
command -v "$trainer" >/dev/null || {
    echo "recipe.sh: $trainer not found; install it as README.md says ('Train it'), or name another: TRAINER=path $0 ..." >&2
    exit 1
}

# Starts a run or resumes it; a finished run stays as it is.
train() {
    local run_dir=$1 resume=()
    shift
    [ ! -e "$run_dir/settings.json" ] || resume=(--resume)
    "$trainer" train --data "$data" --run-dir "$run_dir" "$@" "${resume[@]}"
}

train runs/first --weights "$weights"
train runs/second --weights runs/first/best.keras --teacher runs/first --ferplus "$ferplus" \
    --input-size 128 --head-epochs 0 --epochs 15 --learning-rate 7e-4
# The adapted temperature was measured with the shipped model on photographs; `trainer evaluate --detect` measures it.
KERAS_BACKEND=tensorflow "$trainer" quantize runs/second/best.keras --data "$data" --out runs/emotion.tflite \
    --name "mobilenet_v2 1.0, 128 px" --adapted-temperature 0.8
KERAS_BACKEND=tensorflow "$trainer" evaluate runs/emotion.tflite --data "$data" --ferplus "$ferplus" \
    --compare-to runs/second/best.keras --report runs/report.html
