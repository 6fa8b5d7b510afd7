#!/usr/bin/env bash
# Train the shipped model from the data: first a network at 96 pixels; then, from its weights and with distillation from
# it, one at 128 pixels that also learns FER+'s label distributions; then the int8 model, and a report on it.
#
#   scripts/recipe.sh fer2013.csv fer2013new.csv [IMAGENET_WEIGHTS.h5]
#
# Takes two to three hours on two CPU cores. It may be stopped at any time: the same command resumes after the last
# completed epoch. On a GPU, set KERAS_BACKEND=jax for the two trainings (with JAX installed); conversion uses TensorFlow.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 2 ] || { echo "usage: scripts/recipe.sh fer2013.csv fer2013new.csv [IMAGENET_WEIGHTS.h5]" >&2; exit 2; }
data=$1 ferplus=$2 weights=${3:-imagenet}
trainer=${TRAINER:-.venv-trainer/bin/trainer}
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
