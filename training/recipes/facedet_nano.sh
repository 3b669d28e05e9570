#!/usr/bin/env bash
# Train the face detector nano on two folders of photos with labels.jsonl, from any folder:
#
#     bash training/recipes/facedet_nano.sh [--install] MESH DETECTOR PORTRAITS YUNET
#
# MESH has landmarks of a face mesh (shared/data/facedet2), those of DETECTOR (shared/data/facedet) come from
# another detector and are dropped. PORTRAITS is a folder of photos of one face each (FairFace's train), of which
# those that the network misses are labelled by YUNET, an .onnx file. About six hours on two idle cores.
# The networks are written to runs/detector/; --install copies them over the bundled ones. Repeat the command to
# resume.
set -euo pipefail

install=false
if [ "${1:-}" = --install ]; then
    install=true
    shift
fi

mesh=$(cd "${1:?folder with labels.jsonl and images/}" && pwd)
other=$(cd "${2:?second folder with labels.jsonl and images/}" && pwd)
portraits=$(cd "${3:?folder of portraits}" && pwd)
yunet=$(realpath "${4:?ONNX file of YuNet}")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ -e runs/merged/labels.jsonl ] || python -m training.detector.merge_labels "$mesh" "$other" \
    --without-landmarks "$other" --out runs/merged
first=(--data runs/merged --longest 640 --tiles 4096 --sides 256,320,320,512 --landmark-weight 2 --shrink 0.22
       --schedule cosine)

train() {  # detector or refiner, folder of the run, then its options
    local what=$1 run=$2
    shift 2
    if [ -e "$run/last.keras" ]; then
        python -m "training.$what.train" --resume --out "$run"
    else
        python -m "training.$what.train" --out "$run" "$@"
    fi
}

train detector runs/nano "${first[@]}" --epochs 90 --learning-rate 0.002 --seed 1 \
    --mosaic 0.3 --rotate 0.45 --angle 42 --occlude 0.3 --light 0.85
train detector runs/nano-2 "${first[@]}" --init runs/nano --epochs 24 --learning-rate 0.0012 --seed 2 \
    --mosaic 0.3 --rotate 0.4 --angle 40 --occlude 0.25 --light 0.8
python -m training.detector.export runs/nano-2 --data runs/merged --out runs/nano-2.onnx

# The second stage, on crops of what the first one proposes.
[ -e runs/crops/val.npz ] || python -m training.refiner.crops --data runs/merged \
    --detector runs/nano-2.onnx --out runs/crops --tiles 70000 --seed 1
train refiner runs/refiner --data runs/crops --epochs 70 --steps 200 --learning-rate 0.0025 --seed 1
python -m training.refiner.export runs/refiner --score-share 0.7 --score-shift -0.65 --out runs/refiner.onnx

# Both again, with portraits whose face they miss: dark ones, profiles, faces that look down.
[ -e runs/missed/labels.jsonl ] || python -m training.detector.missed_faces --photos "$portraits" \
    --teacher "$yunet:score=0.4" --detector "runs/nano-2.onnx:refiner=$PWD/runs/refiner.onnx" --out runs/missed
[ -e runs/merged-2/labels.jsonl ] || python -m training.detector.merge_labels "$mesh" "$other" runs/missed \
    --without-landmarks "$other" --out runs/merged-2
train detector runs/nano-3 "${first[@]}" --data runs/merged-2 --init runs/nano-2 --epochs 48 --learning-rate 0.001 \
    --seed 12 --mosaic 0.28 --rotate 0.4 --angle 42 --occlude 0.25 --light 0.85 --dark 0.12
# The average keeps what each has learnt.
data="$(basename "$mesh"), $(basename "$other"), $(basename "$portraits")"
python -m training.average_weights runs/nano-2 runs/nano-3 --shares 0.4 0.6 --out runs/nano.keras
python -m training.detector.export runs/nano.keras --data runs/merged-2 --int8 --out runs/detector/nano.onnx \
    --name nano --trained-on "$data"
[ -e runs/crops-2/val.npz ] || python -m training.refiner.crops --data runs/merged-2 \
    --detector runs/detector/nano.onnx --out runs/crops-2 --tiles 55000 --faces 0.6 --seed 31
train refiner runs/refiner-2 --data runs/crops-2 --epochs 36 --steps 200 --learning-rate 0.003 --schedule cosine \
    --ema 0.998 --seed 31
train refiner runs/refiner-3 --data runs/crops-2 --init runs/refiner-2/last.keras --epochs 36 --steps 200 \
    --learning-rate 0.0025 --schedule cosine --ema 0.998 --seed 32
# On varied whole photos, searched as at inference: there it makes the mistakes that count.
[ -e runs/views/val.npz ] || python -m training.refiner.crops --data runs/merged \
    --detector runs/detector/nano.onnx --out runs/views --views 6 --seed 1
train refiner runs/refiner-4 --data runs/views --init runs/refiner-3/last.keras --epochs 34 --steps 250 \
    --learning-rate 0.002 --schedule cosine --ema 0.998 --seed 5
# And with the portraits that it misses now, which evens out the recall of groups of people.
python -m training.refiner.export runs/refiner-4 --score-share 0.85 --score-shift -0.56 --int8 --mirror \
    --out runs/refiner-4.onnx
[ -e runs/missed-2/labels.jsonl ] || python -m training.detector.missed_faces --photos "$portraits" \
    --teacher "$yunet:score=0.4" --detector "runs/detector/nano.onnx:refiner=$PWD/runs/refiner-4.onnx" \
    --others 2500 --seed 7 --out runs/missed-2
[ -e runs/views-2/val.npz ] || python -m training.refiner.crops --data runs/missed-2 --add-to runs/views \
    --detector runs/detector/nano.onnx --out runs/views-2 --views 8 --seed 11
train refiner runs/refiner-5 --data runs/views-2 --init runs/refiner-4/last.keras --epochs 5 --steps 250 \
    --learning-rate 0.0008 --schedule cosine --ema 0.997 --seed 99
# The shift makes 0.5 the score with about 0.05 false alarms per photo.
python -m training.refiner.export runs/refiner-5 --score-share 0.85 --score-shift -0.56 --int8 --mirror \
    --out runs/detector/refiner.onnx --trained-on "$data"
python -m training.evaluate_detectors runs/detector/nano.onnx --refiner runs/detector/refiner.onnx \
    --data "$mesh" --data "$other" --out runs/detector/report
if $install; then
    cp runs/detector/nano.onnx runs/detector/refiner.onnx fastfer/models/
    python -m training.common.manifest
fi
