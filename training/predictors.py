"""Trained networks of any file kind behind one interface: faces in, probabilities out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastfer.errors import InputError, ModelError
from training.batches import CROWD, FER2013
from training.metrics import softmax
from training.runs import BEST

Floats = NDArray[np.float32]
BATCH = 256


class Predictor(Protocol):
    """A network that can be asked."""

    path: Path

    def predict(self, faces: Floats) -> Floats:
        """Probabilities (N, classes) for gray faces (N, 48, 48, 1) in [0, 1]."""
        ...


@dataclass
class KerasPredictor:
    """A Keras file, computed in float32; ``head`` chooses among two outputs."""

    path: Path
    model: Any
    head: str | None = None

    def logits(self, faces: Floats, head: str | None = None) -> Floats:
        """Raw scores (N, classes) before softmax."""
        out = self.model.predict(faces, batch_size=BATCH, verbose=0)
        if isinstance(out, dict):
            name = head or self.head or FER2013
            out = out[name if name in out else CROWD]
        return np.asarray(out, np.float32)

    def predict(self, faces: Floats) -> Floats:
        return softmax(self.logits(faces))


@dataclass
class OnnxPredictor:
    """An ONNX file, through the classifier that serves users."""

    path: Path
    classifier: Any

    def predict(self, faces: Floats) -> Floats:
        parts = [self.classifier.predict(faces[i : i + BATCH]) for i in range(0, len(faces), BATCH)]
        return np.concatenate(parts) if parts else np.zeros((0, 7), np.float32)


def load_predictor(path: str | Path, threads: int | None = None) -> Predictor:
    """Open a run folder (its best checkpoint), a ``.keras`` file or an ``.onnx`` file.

    Raises:
        InputError: there is no such file.
        ModelError: it is not a network that this project can read.
    """
    path = Path(path)
    if path.is_dir():
        path = path / BEST
    if not path.exists():
        raise InputError(f"{path}: no such file; give a run folder, a .keras or an .onnx file")
    if path.suffix == ".onnx":
        from fastfer.classifier import EmotionClassifier

        return OnnxPredictor(path, EmotionClassifier(path, threads=threads))
    import keras

    import training.layers
    import training.schedules  # noqa: F401
    from training.fold import inference_twin

    try:
        model = keras.saving.load_model(path, compile=False)
    except (ValueError, OSError, TypeError) as e:
        raise ModelError(f"{path}: not a readable Keras model: {e}") from e
    return KerasPredictor(path, inference_twin(model))


def with_flips(predictor: Predictor, faces: Floats) -> Floats:
    """Mean of the probabilities of each face and of its mirror image."""
    mirrored = np.ascontiguousarray(faces[:, :, ::-1])
    return (predictor.predict(faces) + predictor.predict(mirrored)) / 2
