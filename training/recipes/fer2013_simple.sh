#!/usr/bin/env bash
# The bundled network from the Kaggle download in one command, about half an hour on two idle cores
# with bfloat16 in hardware:
#
#     bash training/recipes/fer2013_simple.sh fer2013.csv fer2013new.csv
#
# FER+ votes only add figures to the metadata. Interrupted, it goes on where it was.
set -euo pipefail
data=${1:?path of fer2013.csv} votes=${2:?path of the fer2013new.csv of FER+}
common=(--data "$data" --arch simple --schedule one-cycle --weight-decay 1e-3
        --label-smoothing 0.1 --ema 0.995)

train() {  # folder of the run, then its options
    if [ -e "$1/last.keras" ]; then
        python -m training.train --resume --out "$1"
    else
        python -m training.train "${common[@]}" --out "$@"
    fi
}

train runs/simple --epochs 36 --learning-rate 0.05 --brightness 0.15 --contrast 0.2 --erase 0.2
train runs/simple-2 --init runs/simple --epochs 10 --learning-rate 0.02 \
    --rotation 8 --shift 0.05 --zoom 0.05 --brightness 0.1 --contrast 0.1
python -m training.export runs/simple-2 --int8 --name fer2013_simple \
    --data "$data" --votes "$votes" --out fastfer/models/fer2013_simple.onnx
