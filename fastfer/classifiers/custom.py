"""Expression networks from elsewhere.

Input size, channels and memory layout are read from the graph, labels and pixel scaling from the
metadata or a :class:`ModelSpec`. Nothing is guessed: a wrong scale or order of labels raises no
error, it only yields wrong emotions.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastfer.classifiers.base import Classifier, check_batch, check_output
from fastfer.classifiers.contract import PREFIX, ModelContract
from fastfer.errors import ModelError, UsageError
from fastfer.inference.onnx_session import (
    Session,
    describe,
    pick_threads,
    read_model,
)
from fastfer.kernels.backend import MAX_SIZE, MIN_SIZE
from fastfer.kernels.pack import pack_faces
from fastfer.labels import ALL_EMOTIONS, CONTEMPT, EMOTIONS
from fastfer.validation import check_choice, check_path, is_number, parse_literal

Frame = NDArray[np.uint8]

SYNONYMS: Final = {
    "anger": "angry", "disgusted": "disgust", "fearful": "fear", "afraid": "fear",
    "scared": "fear", "happiness": "happy", "joy": "happy", "sadness": "sad",
    "surprised": "surprise", "neutrality": "neutral", "contemptuous": "contempt",
}  # fmt: skip
"""Other names of the emotions. Classes with further names are dropped, and the remaining
probabilities normalised."""

IMAGENET: Final = (
    tuple(1 / (255 * deviation) for deviation in (0.229, 0.224, 0.225)),
    tuple(-mean / d for mean, d in ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))),
)
"""Scale and bias per channel (red, green, blue) of networks pretrained on ImageNet."""

_ADVICE: Final = "Pass an .onnx file of an expression classifier."


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Labels and pixel scaling of a model; ``None`` takes the value in the file's metadata.

    The network's input is ``pixel * scale + bias``, with pixels from 0 to 255.

    Raises:
        UsageError: a value of another type, or out of range (``out_of_range``).
    """

    labels: tuple[str, ...] | None = None
    """Names of the classes in the order of the output."""
    scale: tuple[float, ...] | None = None
    """One number, or one per channel in the order of the network's channels."""
    bias: tuple[float, ...] | None = None
    """The same; 0 if metadata has no bias either."""
    color: Literal["rgb", "bgr"] = "rgb"
    """Channel order of networks with three channels."""

    def __post_init__(self) -> None:
        check_choice(color=(self.color, ("rgb", "bgr")))
        _check_tuples("a string", lambda value: isinstance(value, str), labels=self.labels)
        _check_tuples("a finite number", _is_finite, scale=self.scale, bias=self.bias)


def _check_tuples(kind: str, valid: Callable[[Any], bool], **values: Any) -> None:
    """Require that each ``name=values`` is ``None`` or a sequence whose items are ``valid``."""
    for name, items in values.items():
        ordered = isinstance(items, (list, tuple, np.ndarray))  # Not a set, nor one string.
        if items is not None and not (ordered and all(map(valid, items))):
            raise UsageError(
                f"{name} must be a tuple, each item {kind}; got {items!r}", code="out_of_range"
            )


def _is_finite(value: Any) -> bool:
    return is_number(value) and bool(np.isfinite(value))


class CustomClassifier(Classifier):
    """Any expression classifier with one image input and one output of logits or probabilities."""

    def __init__(
        self,
        model: str | os.PathLike[str],
        threads: int | None = None,
        spec: ModelSpec | None = None,
    ) -> None:
        """Load a network.

        Args:
            model: path of the ONNX file.
            threads: see :class:`~fastfer.classifiers.native.EmotionClassifier`.
            spec: labels and pixel scaling, where the file's metadata lacks them.

        Raises:
            ModelError: the file is missing, not ONNX, or not a classifier of square images; code
                ``incomplete_spec`` if labels or scale are unknown.
            UsageError: ``threads`` is out of range.
        """
        check_path(model=model)
        self.path = Path(model)
        source = str(model)
        self.threads = pick_threads(threads)
        self._session = Session(read_model(self.path, _ADVICE), source, self.threads, _ADVICE)
        spec = _complete(spec or ModelSpec(), self._session, source)
        labels, scale = spec.labels, spec.scale
        if labels is None or scale is None:
            raise ModelError(
                f"{source}: labels or scale unknown; the metadata has no {PREFIX}labels and "
                f"{PREFIX}scale. Pass spec=ModelSpec(labels, scale), or on the command line "
                "--model-labels angry,disgust,fear,happy,sad,surprise,neutral --model-scale 1/255.",
                code="incomplete_spec",
            )
        self._planar, size, channels, self._fixed = _find_input(self._session, source)
        self._input = self._session.inputs[0].name
        self._output = _find_output(self._session, len(labels), source)
        self._classes = len(labels)
        self._columns = _find_columns(labels, source)
        self._order = (2, 1, 0) if spec.color == "rgb" else (0, 1, 2)
        self._scale = _per_channel(scale, channels, "scale", source)
        self._bias = _per_channel(spec.bias or (0.0,), channels, "bias", source)
        self.contract = ModelContract(
            name=self.path.stem,
            labels=ALL_EMOTIONS if CONTEMPT in _emotions(labels) else EMOTIONS,
            input_size=size,
            channels=channels,
            scale=float(np.mean(self._scale)),
            bias=float(np.mean(self._bias)),
            trained_on="unknown",
            outputs={self._output: "unknown"},
        )

    def pack(
        self,
        frame: Frame,
        crops: NDArray[np.float32],
        angles: ArrayLike | None = None,
        out: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        if len(self._scale) == 1:
            return super().pack(frame, crops, angles, out)
        tiles = self.batch(len(crops)) if out is None else out
        if len(crops) == 0:
            return tiles
        # The kernels pack one channel at a time, so only the part under the crops is copied.
        view, boxes = _crop_region(frame, np.asarray(crops, np.float64))
        for k, channel in enumerate(self._order):
            plane = view if view.ndim == 2 else np.ascontiguousarray(view[:, :, channel])
            scale, bias = self._scale[k], self._bias[k]
            size = self.contract.input_size
            part = pack_faces(plane, boxes, size=size, scale=scale, bias=bias, angles=angles)
            tiles[..., k] = part[..., 0]
        return tiles

    def predict(self, batch: ArrayLike) -> NDArray[np.float32]:
        faces = check_batch(batch, self.contract)
        if self._planar:
            faces = faces.transpose(0, 3, 1, 2)
        result = np.zeros((len(faces), len(self.emotions)), np.float32)
        step = self._fixed or 32
        for start in range(0, len(faces), step):
            part = np.ascontiguousarray(faces[start : start + step])
            count = len(part)
            if self._fixed and count < step:
                part = np.concatenate([part, np.zeros((step - count, *part.shape[1:]), np.float32)])
            feed = {self._input: part}
            (values,) = self._session.run([self._output], feed)
            values = values[:count]
            check_output(values, (count, self._classes), self._output, str(self.path))
            columns = list(self._columns.values())
            result[start : start + count, columns] = _probabilities(values, list(self._columns))
        return result


def _probabilities(values: NDArray[np.float32], known: list[int]) -> NDArray[np.float32]:
    """Probabilities (N, len(known)) of the ``known`` classes, normalised to rows that sum to 1.

    ``values`` (N, C) are probabilities or logits. If the known classes have no probability, all are
    equal.
    """
    if (values >= 0).all() and np.allclose(values.sum(axis=1), 1, atol=1e-3):
        shares = values[:, known]
        total = shares.sum(axis=1, keepdims=True)
        even = np.full_like(shares, 1 / len(known))
        return np.where(total > 0, shares / np.where(total > 0, total, 1), even)
    powers = np.exp(values[:, known] - values[:, known].max(axis=1, keepdims=True))
    normal: NDArray[np.float32] = powers / powers.sum(axis=1, keepdims=True)
    return normal


def _crop_region(frame: Frame, crops: NDArray[np.float64]) -> tuple[Frame, NDArray[np.float64]]:
    """The part of ``frame`` that ``crops`` can sample at any roll angle; and the crops in it."""
    reach = crops[:, 2:].max(axis=1, keepdims=True) * 0.75 + 2
    centre = crops[:, :2] + crops[:, 2:] / 2
    low = np.maximum((centre - reach).min(axis=0), 0).astype(int)
    low = np.minimum(low, np.array(frame.shape[1::-1]) - 1)
    high = np.maximum(np.ceil((centre + reach).max(axis=0)).astype(int), low + 1)
    boxes = crops.copy()
    boxes[:, :2] -= low
    return frame[low[1] : high[1], low[0] : high[0]], boxes


def _complete(spec: ModelSpec, session: Session, source: str) -> ModelSpec:
    """``spec`` with missing values from the file's metadata."""
    metadata = session.metadata
    found: dict[str, Any] = {}
    for name in ("labels", "scale", "bias"):
        text = metadata.get(PREFIX + name)
        if getattr(spec, name) is None and text is not None:
            try:
                value = parse_literal(text)
                values = value if isinstance(value, (list, tuple)) else [value]
                found[name] = tuple((str if name == "labels" else _finite)(v) for v in values)
            except (ValueError, TypeError, OverflowError):
                raise ModelError(
                    f"{source}: metadata {PREFIX}{name} is invalid: {text[:80]!r}"
                ) from None
    return replace(spec, **found)


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _find_input(session: Session, source: str) -> tuple[bool, int, int, int | None]:
    """Whether the layout is (N, C, S, S); S; C; and N, ``None`` if it is free."""
    nodes = session.inputs
    shape = nodes[0].shape if len(nodes) == 1 and nodes[0].type == "tensor(float)" else []
    for planar, channels, sides in (
        (True, shape[1:2], shape[2:4]),
        (False, shape[3:4], shape[1:3]),
    ):
        if len(shape) != 4 or channels[0] not in (1, 3) or sides[0] != sides[1]:
            continue
        if isinstance(sides[0], int) and MIN_SIZE <= sides[0] <= MAX_SIZE:
            return planar, sides[0], channels[0], shape[0] if isinstance(shape[0], int) else None
    raise ModelError(
        f"{source}: inputs are {describe(nodes)}; expected one float32 input, (N, C, S, S) or "
        f"(N, S, S, C), with C of 1 or 3 and a fixed S of {MIN_SIZE} to {MAX_SIZE}"
    )


def _find_output(session: Session, classes: int, source: str) -> str:
    for node in session.outputs:
        if len(node.shape) == 2 and node.shape[1] == classes:
            return str(node.name)
    outputs = describe(session.outputs)
    raise ModelError(f"{source}: outputs are {outputs}; expected (N, {classes}) for the labels")


def _find_columns(labels: Sequence[str], source: str) -> dict[int, int]:
    """Index in ALL_EMOTIONS by the index of the network's class, where it is an emotion."""
    names = _emotions(labels)
    known = [name for name in names if name in ALL_EMOTIONS]
    if len(known) < 2 or len(set(known)) < len(known):
        raise ModelError(
            f"{source}: labels {', '.join(labels)} must include at least two of "
            f"{', '.join(ALL_EMOTIONS)}, none twice"
        )
    return {i: ALL_EMOTIONS.index(name) for i, name in enumerate(names) if name in ALL_EMOTIONS}


def _emotions(labels: Sequence[str]) -> list[str]:
    """``labels`` by fastfer's names, where it has one."""
    names = [name.strip().lower() for name in labels]
    return [SYNONYMS.get(name, name) for name in names]


def _per_channel(
    values: Sequence[float], channels: int, what: str, source: str
) -> tuple[float, ...]:
    if len(values) not in (1, channels):
        raise ModelError(f"{source}: {what} has {len(values)} values for {channels} channels")
    return tuple(values) * (channels // len(values))
