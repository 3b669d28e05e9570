"""What teachers say about the training faces: the soft targets of distillation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fastfer.errors import ModelError
from training.batches import CROWD, FER2013
from training.data import FaceSource, as_batch
from training.predictors import load_predictor, named

CHUNK = 1024


def teach(
    teachers: Sequence[str], source: FaceSource, classes: Sequence[str]
) -> dict[str, NDArray[np.float32]]:
    """Probabilities (N, classes) of every head, averaged over the teachers and over mirror images.

    A teacher with one output speaks for both heads; the default output of an ONNX file, for the
    crowd's.

    Raises:
        ModelError: a teacher tells other classes apart than ``classes``, or has another order.
    """
    predictors = [load_predictor(path) for path in teachers]
    for path, predictor in zip(teachers, predictors, strict=True):
        if predictor.classes != tuple(classes):
            raise ModelError(
                f"{path}: the teacher knows {named(predictor.classes, ' classes')}, the run "
                f"{named(classes)}"
            )
    total = {head: np.zeros((len(source), len(classes)), np.float32) for head in (FER2013, CROWD)}
    for predictor in predictors:
        for start in range(0, len(source), CHUNK):
            part = np.arange(start, min(start + CHUNK, len(source)))
            faces = as_batch(source.load(part))
            both = np.concatenate([faces, faces[:, :, ::-1]])
            for head, table in total.items():
                said = predictor.predict(both, head if head in predictor.heads else None)
                table[part] += (said[: len(part)] + said[len(part) :]) / 2
    return {head: table / np.float32(len(teachers)) for head, table in total.items()}
