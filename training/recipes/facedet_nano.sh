#!/usr/bin/env bash
# Train the face detector nano on a folder of photos with labels.jsonl, from any folder:
#
#     bash training/recipes/facedet_nano.sh [--install] ../shared/data/facedet
#
# About three hours on two idle cores with AMX. The networks are written to runs/detector/; --install
# copies them over the bundled ones. Repeat the command to resume after an interruption.
set -euo pipefail

install=false
if [ "${1:-}" = --install ]; then
    install=true
    shift
fi

data=$(cd "${1:?folder with labels.jsonl and images/}" && pwd)
first=(--data "$data" --tiles 4096 --sides 256,256,320,512 --schedule one-cycle --learning-rate 0.003
       --occlude 0.25)
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

train() {  # detector or refiner, folder of the run, then its options
    local what=$1 run=$2
    shift 2
    if [ -e "$run/last.keras" ]; then
        python -m "training.$what.train" --resume --out "$run"
    else
        python -m "training.$what.train" --out "$run" "$@"
    fi
}

train detector runs/nano "${first[@]}" --epochs 80 --seed 5
# Larger and more frequent rotations, so that the landmarks follow tilted heads.
train detector runs/nano-2 "${first[@]}" --init runs/nano --epochs 150 --rotate 0.4 --angle 40 --seed 6
python -m training.detector.export runs/nano-2 --data "$data" --out runs/detector/nano.onnx --name nano \
    --trained-on "$(basename "$data")"

# The second stage, on crops of what the first one proposes.
[ -e runs/crops/val.npz ] || python -m training.refiner.crops --data "$data" \
    --detector runs/detector/nano.onnx --out runs/crops --tiles 90000 --seed 1
train refiner runs/refiner --data runs/crops --epochs 150 --steps 200 --learning-rate 0.003 \
    --seed 1
python -m training.refiner.export runs/refiner --score-share 0.7 --out runs/detector/refiner.onnx \
    --trained-on "$(basename "$data")"
python -m training.evaluate_detectors runs/detector/nano.onnx --refiner runs/detector/refiner.onnx \
    --data "$data" --out runs/detector/report
if $install; then cp runs/detector/nano.onnx runs/detector/refiner.onnx fastfer/models/; fi
