#!/usr/bin/env bash
# Make the shipped model anew, in one command: first a network at 96 pixels, then, from its weights and with its opinion
# as softened labels, one at 128 pixels that also learns FER+'s votes; then int8, and a report of it.
#
#   scripts/recipe.sh fer2013.csv fer2013new.csv [IMAGENET_WEIGHTS.h5]
#
# Two to three hours on two CPU cores. It may be stopped at any time; the same command goes on from the last whole epoch.
# On a GPU: KERAS_BACKEND=jax for the two trainings (with JAX installed); conversion takes the TensorFlow backend.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 2 ] || { echo "usage: scripts/recipe.sh fer2013.csv fer2013new.csv [IMAGENET_WEIGHTS.h5]" >&2; exit 2; }
data=$1 votes=$2 weights=${3:-imagenet}
trainer=${TRAINER:-.venv-trainer/bin/trainer}
command -v "$trainer" >/dev/null || {
    echo "recipe.sh: no $trainer; make it as the README says ('Train it'), or name one: TRAINER=path $0 ..." >&2
    exit 1
}

# A run that was begun goes on; one that is finished is left as it is.
train() {
    local run=$1 resume=()
    shift
    [ ! -e "$run/settings.json" ] || resume=(--resume)
    "$trainer" train --data "$data" --run "$run" "$@" "${resume[@]}"
}

train runs/first --weights "$weights"
train runs/second --weights runs/first/best.keras --teacher runs/first --ferplus "$votes" \
    --input-size 128 --head-epochs 0 --epochs 15 --rate 7e-4
KERAS_BACKEND=tensorflow "$trainer" quantize runs/second/best.keras --data "$data" --out runs/emotion.tflite \
    --name "mobilenet_v2 1.0, 128 px"
KERAS_BACKEND=tensorflow "$trainer" evaluate runs/emotion.tflite --data "$data" --ferplus "$votes" \
    --beside runs/second/best.keras --report runs/report.html
