#!/usr/bin/env bash
# Train fastfer's network with two heads on Kaggle's FER-2013 and the votes of FER+, from any folder:
#
#     bash training/recipes/fer2013_fastfer.sh [--install] archive.zip fer2013new.csv [photos.npz [labels.jsonl]]
#
# About six hours on two idle cores with AMX, twice that without. The labelled photos (see
# training.expression.robustness) are optional and only measured. The labels of training.detector are optional
# too; the likeness output, one sign of uncertain faces, is fitted to their photos. The network is written to
# runs/fastfer/; --install copies it over the bundled one. Repeat the command to resume after an
# interruption.
set -euo pipefail

install=false
if [ "${1:-}" = --install ]; then
    install=true
    shift
fi

absolute() { printf '%s/%s\n' "$(cd "$(dirname "$1")" && pwd)" "$(basename "$1")"; }

files=(--data "$(absolute "${1:?path of archive.zip or fer2013.csv}")"
       --votes "$(absolute "${2:?path of the fer2013new.csv of FER+}")")
photos=()
if [ $# -gt 2 ]; then photos=(--photos "$(absolute "$3")"); fi
nonfaces=()
if [ $# -gt 3 ]; then nonfaces=(--nonfaces "$(absolute "$4")"); fi
recipe=("${files[@]}" --arch fastfer --targets both --ema 0.998 --blur 0.15 --patience 200)
strong=(--rotation 15 --shift 0.07 --zoom 0.12 --brightness 0.25 --contrast 0.25 --erase 0.25)
mild=(--rotation 12 --shift 0.06 --zoom 0.1 --brightness 0.2 --contrast 0.2 --erase 0.15)
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

train() {  # folder of the run, options
    if [ -e "$1/last.keras" ]; then
        python -m training.train --resume --out "$1"
    else
        python -m training.train "${recipe[@]}" --out "$@"
    fi
}

train runs/fastfer --epochs 44 --schedule one-cycle --learning-rate 0.08 --seed 1 \
    --weight-decay 5e-3 --label-smoothing 0.1 "${strong[@]}"
train runs/fastfer-2 --init runs/fastfer --epochs 9 --schedule cosine --learning-rate 0.06 --seed 2 \
    --weight-decay 5e-3 --label-smoothing 0.1 "${mild[@]}"
# Labels half replaced by what the votes predict.
train runs/fastfer-3 --init runs/fastfer-2 --epochs 45 --schedule one-cycle --learning-rate 0.1 --seed 3 \
    --weight-decay 5e-3 --vote-smoothing 0.5 "${strong[@]}"
# The previous round is a teacher.
train runs/fastfer-4 --init runs/fastfer-3 --epochs 24 --schedule cosine --learning-rate 0.06 --seed 4 \
    --weight-decay 3e-3 --vote-smoothing 0.5 --distill runs/fastfer-3 --distill-share 0.4 "${mild[@]}"
train runs/fastfer-5 --init runs/fastfer-4 --epochs 75 --schedule cosine --learning-rate 0.1 --seed 6 \
    --weight-decay 4e-3 --vote-smoothing 0.35 --distill runs/fastfer-3,runs/fastfer-4 --distill-share 0.35 \
    "${mild[@]}"
# A teacher of twice the width, itself distilled from the three.
train runs/wide --arch fastfer_wide --epochs 44 --schedule one-cycle --learning-rate 0.1 --seed 7 \
    --weight-decay 5e-3 --vote-smoothing 0.35 --distill runs/fastfer-3,runs/fastfer-4,runs/fastfer-5 \
    --distill-share 0.35 --rotation 14 --shift 0.06 --zoom 0.12 --brightness 0.2 --contrast 0.2 --erase 0.25
# Original labels and a tenth of the weight decay: from here on the network also memorises faces.
train runs/fastfer-6 --init runs/fastfer-5 --epochs 14 --schedule cosine --learning-rate 0.05 --seed 11 \
    --weight-decay 3e-4 --label-smoothing 0.05 \
    --rotation 10 --shift 0.05 --zoom 0.1 --brightness 0.15 --contrast 0.15 --blur 0.1
train runs/fastfer-7 --init runs/fastfer-6/last.keras --epochs 68 --schedule cosine --learning-rate 0.05 \
    --seed 12 --weight-decay 3e-4 \
    --distill runs/fastfer-5,runs/wide,runs/fastfer-6/last.keras --distill-share 0.25 \
    --rotation 12 --shift 0.07 --zoom 0.15 --brightness 0.2 --contrast 0.2 --blur 0.2 --erase 0.1
train runs/fastfer-8 --init runs/fastfer-7/last.keras --epochs 29 --schedule cosine --learning-rate 0.025 \
    --seed 13 --weight-decay 1e-4 \
    --distill runs/fastfer-6/last.keras,runs/wide,runs/fastfer-7/last.keras --distill-share 0.35 \
    --rotation 8 --shift 0.04 --zoom 0.08 --brightness 0.15 --contrast 0.15 --blur 0.1
python -m training.average_weights runs/fastfer-7/last.keras runs/fastfer-8 --shares 0.3 0.7 --out runs/fastfer-8/average.keras
# INT8 teachers classify each augmented face: rounds 8 and 5, which has memorised less.
for round in 5 8/last.keras; do
    python -m training.export "runs/fastfer-$round" --int8 --head-blend 1 --prior learnt --out "runs/teacher-${round%%/*}.onnx"
done
train runs/fastfer-9 --init runs/fastfer-8/average.keras --epochs 72 --schedule cosine --learning-rate 0.035 \
    --seed 16 --weight-decay 2e-4 --distill runs/teacher-8.onnx,runs/teacher-5.onnx --distill-share 0.4 \
    --online-distillation --rotation 10 --shift 0.05 --zoom 0.1 --brightness 0.18 --contrast 0.18
# --consistency 0.5 in the last round would tie the outputs of jittered crops, for steadier video; the bundled
# network was trained without it. Round 9 has memorised many faces; it is the third teacher of the bundled network.
python -m training.export runs/fastfer-9/last.keras --int8 --head-blend 1 --prior learnt \
    --out runs/teacher-9.onnx
train runs/fastfer-10 --init runs/fastfer-8/average.keras --epochs 38 --schedule cosine --learning-rate 0.03 \
    --seed 17 --weight-decay 1e-4 --distill runs/teacher-8.onnx,runs/teacher-5.onnx,runs/teacher-9.onnx \
    --distill-share 0.9 --online-distillation \
    --rotation 12 --shift 0.06 --zoom 0.12 --brightness 0.2 --contrast 0.2 --blur 0.2
python -m training.evaluate runs/fastfer-10 "${files[@]}"
python -m training.expression.tune_head_blend runs/fastfer-10 "${files[@]}" ${photos[@]+"${photos[@]}"}
python -m training.export runs/fastfer-10 --int8 --name fastfer \
    --trained-on "FER-2013 Training, labels and votes of FER+" \
    ${photos[@]+"${photos[@]}"} ${nonfaces[@]+"${nonfaces[@]}"} \
    --out runs/fastfer/expression.onnx --float32-out runs/fastfer/expression_float32.onnx
python -m training.evaluate runs/fastfer/expression.onnx "${files[@]}" --out runs/fastfer/report
python -m training.expression.robustness runs/fastfer/expression.onnx "${files[@]}" ${photos[@]+"${photos[@]}"} \
    --out runs/fastfer/report
if $install; then
    cp runs/fastfer/expression.onnx runs/fastfer/expression_float32.onnx fastfer/models/
    python -m training.common.manifest
fi
