#!/usr/bin/env bash
# Train the field's recipes beside each other on the Kaggle download, from any folder:
#
#     bash training/recipes/fer2013_field.sh archive.zip
#
# VGG16 and ResNet50 from freshly initialised weights (Adam 5e-4, global average pooling, dropout 0.2) and an
# SE-ResNet of 5 million parameters on five classes for 45 epochs. Days on two cores, hours on a GPU. Repeat the
# command to resume. fer2013_simple.sh trains the seven-layer CNN.
set -euo pipefail

absolute() { printf '%s/%s\n' "$(cd "$(dirname "$1")" && pwd)" "$(basename "$1")"; }

data=$(absolute "${1:?path of archive.zip or fer2013.csv}")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

train() {  # folder of the run, options
    if [ -e "$1/last.keras" ]; then
        python -m training.train --resume --out "$1"
    else
        python -m training.train --data "$data" --out "$@"
    fi
}

classic=(--rotation 10 --shift 0.1 --zoom 0.1)
train runs/vgg16 --arch vgg16 --weights none --learning-rate 5e-4 --epochs 60 "${classic[@]}"
train runs/resnet50 --arch resnet50 --weights none --learning-rate 5e-4 --epochs 60 "${classic[@]}"
train runs/se_resnet --arch se_resnet --classes 5 --epochs 45 --label-smoothing 0.1 "${classic[@]}"
python -m training.evaluate runs/vgg16 runs/resnet50 --data "$data" --out runs/field
python -m training.evaluate runs/se_resnet --data "$data"
