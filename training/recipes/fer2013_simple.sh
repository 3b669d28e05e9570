#!/usr/bin/env bash
# Train the CNN of the tutorials on the Kaggle download, from any folder:
#
#     bash training/recipes/fer2013_simple.sh [--install] archive.zip [fer2013new.csv]
#
# About half an hour on two idle cores with bfloat16 in hardware. The votes of FER+ only add metrics to
# the metadata. The network is written to runs/simple-2/; --install copies it over the bundled one.
# Repeat the command to resume after an interruption.
set -euo pipefail

install=false
if [ "${1:-}" = --install ]; then
    install=true
    shift
fi

absolute() { printf '%s/%s\n' "$(cd "$(dirname "$1")" && pwd)" "$(basename "$1")"; }

files=(--data "$(absolute "${1:?path of archive.zip or fer2013.csv}")")
recipe=("${files[@]}" --arch simple --schedule one-cycle --weight-decay 1e-3
        --label-smoothing 0.1 --ema 0.995)
if [ $# -gt 1 ]; then files+=(--votes "$(absolute "$2")"); fi
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

train() {  # folder of the run, options
    if [ -e "$1/last.keras" ]; then
        python -m training.train --resume --out "$1"
    else
        python -m training.train "${recipe[@]}" --out "$@"
    fi
}

train runs/simple --epochs 36 --brightness 0.15 --contrast 0.2 --erase 0.2
train runs/simple-2 --init runs/simple --epochs 10 --learning-rate 0.02 \
    --rotation 8 --shift 0.05 --zoom 0.05 --brightness 0.1 --contrast 0.1
python -m training.evaluate runs/simple-2 "${files[@]}"
python -m training.export runs/simple-2 "${files[@]}" --int8 --name fer2013_simple \
    --out runs/simple-2/expression.onnx --float32-out runs/simple-2/expression_float32.onnx
if $install; then
    cp runs/simple-2/expression.onnx runs/simple-2/expression_float32.onnx fastfer/models/
    python -m training.common.manifest
fi
