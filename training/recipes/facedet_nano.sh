#!/usr/bin/env bash
# The face detector nano, from a folder of photos with labels.jsonl; from any folder; about two hours on
# two idle cores with AMX:
#
#     bash training/recipes/facedet_nano.sh ../shared/data/facedet
#
# Interrupted, it goes on where it was.
set -euo pipefail

data=$(cd "${1:?folder with labels.jsonl and images/}" && pwd)
recipe=(--data "$data" --tiles 4096 --sides 256,256,320,512 --schedule one-cycle --learning-rate 0.003
        --occlude 0.25)
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

train() {  # folder of the run, then its options
    if [ -e "$1/last.keras" ]; then
        python -m training.detector.train --resume --out "$1"
    else
        python -m training.detector.train "${recipe[@]}" --out "$@"
    fi
}

train runs/nano --epochs 80 --seed 5
# Heads tilted further and more often, so that the landmarks follow.
train runs/nano-2 --init runs/nano --epochs 150 --rotate 0.4 --angle 40 --seed 6
python -m training.detector.evaluate runs/nano-2 --data "$data" --out runs/nano-2/report
python -m training.detector.export runs/nano-2 --out fastfer/models/nano.onnx --name nano \
    --trained-on "$(basename "$data")"
