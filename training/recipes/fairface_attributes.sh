#!/usr/bin/env bash
# Train the attribute network on FairFace, from any folder:
#
#     bash training/recipes/fairface_attributes.sh [--install] FAIRFACE
#
# FAIRFACE holds fairface_label_train.csv, fairface_label_val.csv and the photos in train/ and val/. About an hour and
# a half on two idle cores. The network is written to runs/attributes/; --install copies it over the bundled one. Repeat the
# command to resume. The runs have the configurations of the bundled ones, but for the first weights of the wide one: see the model
# card.
set -euo pipefail

install=false
if [ "${1:-}" = --install ]; then
    install=true
    shift
fi

fairface=$(cd "${1:?folder of FairFace}" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
faces=runs/attributes/faces wide=runs/attributes/wide run=runs/attributes/run
[ -e "$faces/val.npz" ] || python -m training.attributes.faces --data "$fairface" --out "$faces"

train() {  # folder of the run, options
    if [ -e "$1/last.keras" ]; then
        python -m training.attributes.train --resume --out "$1"
    else
        python -m training.attributes.train --data "$faces" --weight-decay 0.02 --ema 0.995 --out "$@"
    fi
}

train "$wide" --inner 96 --epochs 30 --init training/reports/fastfer/weights.keras --seed 2
[ -e "$run.keras" ] || python -m training.attributes.prune "$wide" --data "$faces" --out "$run.keras"
train "$run-1" --init "$run.keras" --epochs 12 --learning-rate 0.001 --seed 4 --repeat-group Black
[ -e "$run-average.keras" ] || python -m training.average_weights "$run.keras" "$run-1" --shares 0.5 0.5 \
    --out "$run-average.keras"
train "$run" --init "$run-average.keras" --epochs 9 --learning-rate 0.0007 --ema 0.998 --seed 5 --repeat-group Black
python -m training.attributes.export "$run" --data "$faces" --out runs/attributes/attributes.onnx
python -m training.attributes.evaluate runs/attributes/attributes.onnx --data "$faces"
if $install; then
    cp runs/attributes/attributes.onnx fastfer/models/
    python -m training.common.manifest
fi
python -m training.fairness --data "$faces"
