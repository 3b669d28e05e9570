#!/usr/bin/env bash
# fastfer's own network with two heads, from Kaggle's FER-2013 and the votes of FER+, from any folder;
# about six hours on two idle cores with AMX, twice that without:
#
#     bash training/recipes/fer2013_fastfer.sh archive.zip fer2013new.csv photos.npz
#
# The labelled photos (as training.expression.robustness takes them) calibrate alone and may be left out.
# Interrupted, it goes on where it was.
set -euo pipefail

absolute() { printf '%s/%s\n' "$(cd "$(dirname "$1")" && pwd)" "$(basename "$1")"; }

files=(--data "$(absolute "${1:?path of archive.zip or fer2013.csv}")"
       --votes "$(absolute "${2:?path of the fer2013new.csv of FER+}")")
photos=()
if [ $# -gt 2 ]; then photos=(--wild "$(absolute "$3")"); fi
recipe=("${files[@]}" --arch fastfer --targets both --ema 0.998 --blur 0.15 --patience 200)
strong=(--rotation 15 --shift 0.07 --zoom 0.12 --brightness 0.25 --contrast 0.25 --erase 0.25)
mild=(--rotation 12 --shift 0.06 --zoom 0.1 --brightness 0.2 --contrast 0.2 --erase 0.15)
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

train() {  # folder of the run, then its options
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
# Labels half as the votes make them likely.
train runs/fastfer-3 --init runs/fastfer-2 --epochs 45 --schedule one-cycle --learning-rate 0.1 --seed 3 \
    --weight-decay 5e-3 --vote-smoothing 0.5 "${strong[@]}"
# And with what the round before says of the faces.
train runs/fastfer-4 --init runs/fastfer-3 --epochs 24 --schedule cosine --learning-rate 0.06 --seed 4 \
    --weight-decay 3e-3 --vote-smoothing 0.5 --distill runs/fastfer-3 --distill-share 0.4 "${mild[@]}"
train runs/fastfer-5 --init runs/fastfer-4 --epochs 75 --schedule cosine --learning-rate 0.1 --seed 6 \
    --weight-decay 4e-3 --vote-smoothing 0.35 --distill runs/fastfer-3,runs/fastfer-4 --distill-share 0.35 \
    "${mild[@]}"
# A teacher of twice the width, taught by the three.
train runs/wide --arch fastfer_wide --epochs 44 --schedule one-cycle --learning-rate 0.1 --seed 7 \
    --weight-decay 5e-3 --vote-smoothing 0.35 --distill runs/fastfer-3,runs/fastfer-4,runs/fastfer-5 \
    --distill-share 0.35 --rotation 14 --shift 0.06 --zoom 0.12 --brightness 0.2 --contrast 0.2 --erase 0.25
# Labels as they are, and a tenth of the weight decay: from here on faces are remembered.
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
python -m training.expression.average_weights runs/fastfer-7/last.keras runs/fastfer-8 --shares 0.3 0.7 --out runs/fastfer-8/soup.keras
# Teachers in INT8 are asked about each changed face and its mirror image: rounds 5, which remembers less, and 8.
for round in 5 8/last.keras; do
    python -m training.export "runs/fastfer-$round" --int8 --crowd-share 1 --out "runs/teacher-${round%%/*}.onnx"
done
train runs/fastfer-9 --init runs/fastfer-8/soup.keras --epochs 72 --schedule cosine --learning-rate 0.035 \
    --seed 16 --weight-decay 2e-4 --distill runs/teacher-8.onnx,runs/teacher-5.onnx --distill-share 0.4 \
    --distill-anew --rotation 10 --shift 0.05 --zoom 0.1 --brightness 0.18 --contrast 0.18
# That one knows faces by heart, and is a third teacher of what comes with fastfer, which hardly sees labels.
python -m training.export runs/fastfer-9/last.keras --int8 --crowd-share 1 --out runs/teacher-9.onnx
train runs/fastfer-10 --init runs/fastfer-8/soup.keras --epochs 38 --schedule cosine --learning-rate 0.03 \
    --seed 17 --weight-decay 1e-4 --distill runs/teacher-8.onnx,runs/teacher-5.onnx,runs/teacher-9.onnx \
    --distill-share 0.9 --distill-anew \
    --rotation 12 --shift 0.06 --zoom 0.12 --brightness 0.2 --contrast 0.2 --blur 0.2
python -m training.evaluate runs/fastfer-10 "${files[@]}"
python -m training.expression.tune_head_blend runs/fastfer-10 "${files[@]}" ${photos[@]+"${photos[@]}"}
python -m training.export runs/fastfer-10 --int8 --name fastfer --crowd-share 1 ${photos[@]+"${photos[@]}"} \
    --out fastfer/models/expression.onnx --twin fastfer/models/expression_float32.onnx
python -m training.evaluate fastfer/models/expression.onnx "${files[@]}" --out runs/report
python -m training.expression.robustness fastfer/models/expression.onnx "${files[@]}" ${photos[@]+"${photos[@]}"} --out runs/report
