"""Trained networks of any file kind behind one interface: faces in, probabilities out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastfer.classifiers.native import EmotionClassifier
from fastfer.errors import InputError, ModelError
from fastfer.labels import EMOTIONS
from training.common.run_folder import checkpoint_of, load_network
from training.expression.batches import CROWD, FER2013
from training.expression.data import CLASSES
from training.expression.metrics import softmax

Floats = NDArray[np.float32]
BATCH = 256
DEFAULT_OUTPUT = "probabilities"


class Predictor(Protocol):
    """A network that can be asked."""

    @property
    def path(self) -> Path:
        """The file it came from."""
        ...

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of its outputs, the default first."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of what it tells apart, in the order of its answers."""
        ...

    @property
    def bytes(self) -> int:
        """What has to be kept of it: the size of an ONNX file, of the float32 weights alone in a
        Keras file, which holds the optimizer's state as well."""
        ...

    def predict(self, faces: Floats, head: str | None = None) -> Floats:
        """Probabilities (N, classes) for gray faces (N, 48, 48, 1) in [0, 1]."""
        ...

    def predict_heads(self, faces: Floats) -> dict[str, Floats]:
        """The same of every head, in one pass."""
        ...


@dataclass(frozen=True)
class KerasPredictor:
    """A Keras file, computed in float32 without batch normalisation."""

    path: Path
    model: Any
    original: Any
    """The network as it was trained, in float32 but not folded: what an export is held against."""

    @property
    def heads(self) -> tuple[str, ...]:
        names = tuple(self.model.output_names)
        return (FER2013, CROWD) if set(names) == {FER2013, CROWD} else (DEFAULT_OUTPUT,)

    @property
    def classes(self) -> tuple[str, ...]:
        number = int(self.model.outputs[0].shape[-1])
        return CLASSES.get(number, tuple(map(str, range(number))))

    @property
    def bytes(self) -> int:
        return int(self.original.count_params()) * 4

    def logits(self, faces: Floats, head: str | None = None) -> Floats:
        """Raw scores (N, classes) before softmax."""
        return self._all_logits(faces)[head or self.heads[0]]

    def predict(self, faces: Floats, head: str | None = None) -> Floats:
        return softmax(self.logits(faces, head))

    def predict_heads(self, faces: Floats) -> dict[str, Floats]:
        return {name: softmax(scores) for name, scores in self._all_logits(faces).items()}

    def _all_logits(self, faces: Floats) -> dict[str, Floats]:
        parts = []
        for start in range(0, max(len(faces), 1), BATCH):
            # One call for each batch: predict() would add tenths of a second to every timing.
            out = self.model.predict_on_batch(faces[start : start + BATCH])
            parts.append(out if isinstance(out, dict) else {self.heads[0]: out})
        return {
            name: np.concatenate([part[name] for part in parts]).astype(np.float32, copy=False)
            for name in self.heads
        }


@dataclass(frozen=True)
class OnnxPredictor:
    """An ONNX file, through the classifier that serves users; one of them for each output."""

    path: Path
    classifiers: dict[str, EmotionClassifier]

    @property
    def heads(self) -> tuple[str, ...]:
        return tuple(self.classifiers)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.classifiers[DEFAULT_OUTPUT].contract.labels

    @property
    def bytes(self) -> int:
        return self.path.stat().st_size

    def predict(self, faces: Floats, head: str | None = None) -> Floats:
        return self._known(self.classifiers[head or self.heads[0]].predict(faces))

    def predict_heads(self, faces: Floats) -> dict[str, Floats]:
        said = self.classifiers[DEFAULT_OUTPUT].predict_heads(faces)
        return {name: self._known(rows) for name, rows in said.items()}

    def _known(self, rows: Floats) -> Floats:
        """Seven columns without those where the classifier puts 0, for the network does not know
        them."""
        return rows[:, [EMOTIONS.index(name) for name in self.classes]]


def load_predictor(path: str | Path, threads: int | None = None) -> Predictor:
    """Open a run folder (by :func:`checkpoint_of`), a ``.keras`` file or an ``.onnx`` file.

    Raises:
        InputError: there is no such file.
        ModelError: it is not a network that this project can read.
    """
    path = Path(path)
    if path.is_dir():
        path = checkpoint_of(path)
    if not path.exists():
        raise InputError(f"{path}: no such file; give a run folder, a .keras or an .onnx file")
    return _load_onnx(path, threads) if path.suffix == ".onnx" else _load_keras(path)


def named(classes: Sequence[str], noun: str = "") -> str:
    """Number and names of classes, as a message says them."""
    return f"{len(classes)}{noun} ({', '.join(classes)})"


def _load_keras(path: Path) -> KerasPredictor:
    from training.common.fold_batchnorm import inference_twin

    if path.suffix != ".keras":
        raise InputError(f"{path}: neither a run folder nor a .keras nor an .onnx file")
    model = load_network(path)
    if model.input_shape[1:] != (48, 48, 1):
        raise ModelError(f"{path}: input {model.input_shape}; (N, 48, 48, 1) is needed")
    return KerasPredictor(path, inference_twin(model), inference_twin(model, fold=False))


def _load_onnx(path: Path, threads: int | None) -> OnnxPredictor:
    default = EmotionClassifier(path, threads=threads)
    classifiers = {DEFAULT_OUTPUT: default}
    if FER2013 in default.contract.outputs:
        classifiers[FER2013] = EmotionClassifier(path, threads=threads, head="fer2013")
    return OnnxPredictor(path, classifiers)


def with_flips(predictor: Predictor, faces: Floats, head: str | None = None) -> Floats:
    """Mean of the probabilities of each face and of its mirror image."""
    mirrored = np.ascontiguousarray(faces[:, :, ::-1])
    return (predictor.predict(faces, head) + predictor.predict(mirrored, head)) / np.float32(2)
