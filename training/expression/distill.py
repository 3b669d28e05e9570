"""Teachers: networks whose averaged probabilities are the soft targets of distillation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fastfer.errors import ModelError
from training.expression.batches import Targets
from training.expression.face_sources import FaceSource, as_batch
from training.expression.heads import FER2013, FERPLUS
from training.expression.predictors import Predictor, class_list, load_predictor

CHUNK = 1024


class Teachers:
    """The mean of several networks.

    A teacher with one head is used for both heads of the student; of an ONNX file with two outputs,
    the default one is used for the ``ferplus`` head.
    """

    def __init__(
        self, paths: Sequence[str], classes: Sequence[str], threads: int | None = None
    ) -> None:
        """
        Args:
            paths: their files, Keras or ONNX.
            classes: those of the student.
            threads: of each ONNX teacher; None uses those of the machine.

        Raises:
            ModelError: a teacher has other classes, or in another order.
        """
        self._predictors: list[Predictor] = []
        for path in paths:
            predictor = load_predictor(path, threads)
            if predictor.classes != tuple(classes):
                raise ModelError(
                    f"{path}: the teacher has {class_list(predictor.classes)}, the run "
                    f"{class_list(classes)}"
                )
            self._predictors.append(predictor)

    def predict(self, faces: NDArray[np.float32]) -> Targets:
        """Probabilities (N, classes) of every head, averaged over the teachers and over the mirror
        images of ``faces`` (N, 48, 48, 1)."""
        both = np.concatenate([faces, faces[:, :, ::-1]])
        answers = [predictor.predict_heads(both) for predictor in self._predictors]
        heads = {
            head: np.mean([a.get(head, next(iter(a.values()))) for a in answers], axis=0)
            for head in (FER2013, FERPLUS)
        }
        return {head: (rows[: len(faces)] + rows[len(faces) :]) / 2 for head, rows in heads.items()}

    def predict_all(self, source: FaceSource) -> Targets:
        """The same for every face of ``source``."""
        parts = [
            self.predict(as_batch(source.load(np.arange(start, min(start + CHUNK, len(source))))))
            for start in range(0, len(source), CHUNK)
        ]
        return {head: np.concatenate([part[head] for part in parts]) for head in (FER2013, FERPLUS)}
