"""What teachers say about the training faces: the soft targets of distillation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fastfer.errors import ModelError
from training.expression.batches import CROWD, FER2013, Targets
from training.expression.data import FaceSource, as_batch
from training.expression.predictors import Predictor, load_predictor, named

CHUNK = 1024


class Teachers:
    """Networks whose answers are averaged.

    A teacher with one output speaks for both heads; the default output of an ONNX file, for the
    crowd's.
    """

    def __init__(
        self, paths: Sequence[str], classes: Sequence[str], threads: int | None = None
    ) -> None:
        """
        Args:
            paths: their files, Keras or ONNX.
            classes: what the run tells apart.
            threads: of each ONNX teacher; None takes those of the machine.

        Raises:
            ModelError: a teacher tells other classes apart, or has another order.
        """
        self._predictors: list[Predictor] = []
        for path in paths:
            predictor = load_predictor(path, threads)
            if predictor.classes != tuple(classes):
                raise ModelError(
                    f"{path}: the teacher knows {named(predictor.classes, ' classes')}, the run "
                    f"{named(classes)}"
                )
            self._predictors.append(predictor)

    def predict(self, faces: NDArray[np.float32]) -> Targets:
        """Probabilities (N, classes) of every head, averaged over the teachers and over the mirror
        images of ``faces`` (N, 48, 48, 1)."""
        both = np.concatenate([faces, faces[:, :, ::-1]])
        answers = [predictor.predict_heads(both) for predictor in self._predictors]
        heads = {
            head: np.mean([said.get(head, next(iter(said.values()))) for said in answers], axis=0)
            for head in (FER2013, CROWD)
        }
        return {head: (rows[: len(faces)] + rows[len(faces) :]) / 2 for head, rows in heads.items()}

    def predict_all(self, source: FaceSource) -> Targets:
        """The same for every face of ``source``, as it is."""
        parts = [
            self.predict(as_batch(source.load(np.arange(start, min(start + CHUNK, len(source))))))
            for start in range(0, len(source), CHUNK)
        ]
        return {head: np.concatenate([part[head] for part in parts]) for head in (FER2013, CROWD)}
