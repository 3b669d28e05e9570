"""Keras and ONNX networks behind one interface: faces in, probabilities out."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastfer.classifiers.native import EmotionClassifier
from fastfer.classifiers.tta import geometric_mean
from fastfer.errors import InputError, ModelError
from fastfer.labels import ALL_EMOTIONS
from training.expression.data import CLASSES
from training.expression.heads import FER2013, FERPLUS
from training.expression.metrics import Doubles, softmax

Floats = NDArray[np.float32]
BATCH = 256
DEFAULT_OUTPUT = "probabilities"


class Predictor(Protocol):
    """A network that classifies faces."""

    @property
    def path(self) -> Path:
        """Its file."""
        ...

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of its outputs, the default first."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of its classes, in the order of the probabilities."""
        ...

    @property
    def bytes(self) -> int:
        """Size of an ONNX file, or of the float32 weights of a Keras file, without its optimizer
        state."""
        ...

    def predict(self, faces: Floats, head: str | None = None) -> Floats:
        """Probabilities (N, classes) for gray faces (N, 48, 48, 1) in [0, 1]."""
        ...

    def predict_heads(self, faces: Floats) -> dict[str, Floats]:
        """The same for every head, in one pass."""
        ...

    def prior(self, head: str | None = None) -> Doubles | None:
        """(classes,) the prior for which the probabilities hold, if it is known."""
        ...


@dataclass(frozen=True)
class KerasPredictor:
    """A Keras file, computed in float32 with batch normalisation folded."""

    path: Path
    model: Any
    original: Any
    """The trained network in float32, not folded: the reference of an export."""

    @property
    def heads(self) -> tuple[str, ...]:
        names = tuple(self.model.output_names)
        return (FER2013, FERPLUS) if set(names) == {FER2013, FERPLUS} else (DEFAULT_OUTPUT,)

    @property
    def classes(self) -> tuple[str, ...]:
        number = int(self.model.outputs[0].shape[-1])
        return CLASSES.get(number, tuple(map(str, range(number))))

    @property
    def bytes(self) -> int:
        return int(self.original.count_params()) * 4

    def logits(self, faces: Floats, head: str | None = None) -> Floats:
        """(N, classes) before softmax."""
        return self.predict_logits(faces)[head or self.heads[0]]

    def predict(self, faces: Floats, head: str | None = None) -> Floats:
        return softmax(self.logits(faces, head))

    def prior(self, head: str | None = None) -> Doubles | None:
        return None

    def predict_heads(self, faces: Floats) -> dict[str, Floats]:
        return {name: softmax(scores) for name, scores in self.predict_logits(faces).items()}

    def predict_logits(self, faces: Floats) -> dict[str, Floats]:
        """(N, classes) before softmax, for every head."""
        parts = []
        for start in range(0, max(len(faces), 1), BATCH):
            # predict() would add tenths of a second to every timing.
            out = self.model.predict_on_batch(faces[start : start + BATCH])
            parts.append(out if isinstance(out, dict) else {self.heads[0]: out})
        return {
            name: np.concatenate([part[name] for part in parts]).astype(np.float32, copy=False)
            for name in self.heads
        }


@dataclass(frozen=True)
class OnnxPredictor:
    """An ONNX file, run by the classifier of fastfer; one for each output."""

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
        heads = self.classifiers[DEFAULT_OUTPUT].predict_heads(faces)
        return {name: self._known(rows) for name, rows in heads.items()}

    def prior(self, head: str | None = None) -> Doubles | None:
        own = self.classifiers[DEFAULT_OUTPUT].contract.priors.get(head or self.heads[0])
        return None if own is None else np.array(own)

    def _known(self, rows: Floats) -> Floats:
        """The columns of the network's own classes; the classifier sets the others to 0."""
        return rows[:, [ALL_EMOTIONS.index(name) for name in self.classes]]


@dataclass(frozen=True)
class FlipPredictor:
    """Another predictor, averaged over each face and its mirror image as in photos; see
    :mod:`fastfer.classifiers.tta`."""

    inner: Predictor

    @property
    def path(self) -> Path:
        return self.inner.path

    @property
    def heads(self) -> tuple[str, ...]:
        return self.inner.heads

    @property
    def classes(self) -> tuple[str, ...]:
        return self.inner.classes

    @property
    def bytes(self) -> int:
        return self.inner.bytes

    def predict(self, faces: Floats, head: str | None = None) -> Floats:
        mirrored = np.ascontiguousarray(faces[:, :, ::-1])
        return geometric_mean(self.inner.predict(faces, head), self.inner.predict(mirrored, head))

    def predict_heads(self, faces: Floats) -> dict[str, Floats]:
        mirrored = self.inner.predict_heads(np.ascontiguousarray(faces[:, :, ::-1]))
        straight = self.inner.predict_heads(faces)
        return {name: geometric_mean(rows, mirrored[name]) for name, rows in straight.items()}

    def prior(self, head: str | None = None) -> Doubles | None:
        return self.inner.prior(head)


def load_predictor(path: str | Path, threads: int | None = None) -> Predictor:
    """Open a run folder (by :func:`checkpoint_of`), a ``.keras`` file or an ``.onnx`` file.

    Raises:
        InputError: the file does not exist or is of another kind.
        ModelError: it is not an expression network.
    """
    path = Path(path)
    if path.is_dir():
        from training.common.run_folder import checkpoint_of

        path = checkpoint_of(path)
    if not path.exists():
        raise InputError(f"{path}: no such file", code="not_found")
    return _load_onnx(path, threads) if path.suffix == ".onnx" else _load_keras(path)


def class_list(classes: Sequence[str]) -> str:
    """Number and names of classes, for a message."""
    return f"{len(classes)} classes ({', '.join(classes)})"


def _load_keras(path: Path) -> KerasPredictor:
    if path.suffix != ".keras":
        raise InputError(
            f"{path}: expected a run folder, a .keras or an .onnx file", code="unsupported_format"
        )
    from training.common.fold_batchnorm import inference_model
    from training.common.run_folder import load_network

    model = load_network(path)
    if model.input_shape[1:] != (48, 48, 1):
        raise ModelError(f"{path}: input {model.input_shape}, expected (N, 48, 48, 1)")
    return KerasPredictor(path, inference_model(model), inference_model(model, fold=False))


def _load_onnx(path: Path, threads: int | None) -> OnnxPredictor:
    default = EmotionClassifier(path, threads=threads)
    classifiers = {DEFAULT_OUTPUT: default}
    if FER2013 in default.contract.outputs:
        classifiers[FER2013] = EmotionClassifier(path, threads=threads, head="fer2013")
    return OnnxPredictor(path, classifiers)


def add_tta_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--tta``, for :func:`with_tta`."""
    parser.add_argument(
        "--tta", choices=("none", "flip"), default="none",
        help="flip: average each face and its mirror image, as fastfer does in photos",
    )  # fmt: skip


def with_tta(predictor: Predictor, tta: str) -> Predictor:
    """``predictor`` as the option ``--tta`` asks."""
    return FlipPredictor(predictor) if tta == "flip" else predictor
