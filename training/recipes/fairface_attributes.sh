#!/usr/bin/env bash
# Train the attribute network on FairFace, from any folder:
#
#     bash training/recipes/fairface_attributes.sh [--install] FAIRFACE
#
# FAIRFACE holds fairface_label_train.csv, fairface_label_val.csv and the photos in train/ and val/. About half an
# hour on two idle cores with AMX. The network is written to runs/attributes/; --install copies it over the bundled
# one. Repeat the command to resume. The run has the configuration of the bundled one, but for its first weights: see the
# model card.
set -euo pipefail

install=false
if [ "${1:-}" = --install ]; then
    install=true
    shift
fi

fairface=$(cd "${1:?folder of FairFace}" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
faces=runs/attributes/faces run=runs/attributes/run
[ -e "$faces/val.npz" ] || python -m training.attributes.faces --data "$fairface" --out "$faces"
if [ -e "$run/last.keras" ]; then
    python -m training.attributes.train --resume --out "$run"
else
    python -m training.attributes.train --data "$faces" --out "$run" --epochs 30 \
        --init training/reports/fastfer/weights.keras --weight-decay 0.02 --ema 0.995 --seed 2
fi
python -m training.attributes.export "$run" --data "$faces" --out runs/attributes/attributes.onnx
python -m training.attributes.evaluate runs/attributes/attributes.onnx --data "$faces"
if $install; then
    cp runs/attributes/attributes.onnx fastfer/models/
    python -m training.common.manifest
fi
python -m training.fairness --data "$faces"
