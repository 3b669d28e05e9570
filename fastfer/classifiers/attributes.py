"""The attribute network: perceived gender and age group of the faces that expressions are read
from.

It takes the same crops as the bundled expression network, and runs only where it was asked for.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastfer.classifiers.base import check_output
from fastfer.errors import FrameError, ModelError
from fastfer.inference.onnx_session import (
    Session,
    describe,
    pick_threads,
    read_model,
)
from fastfer.labels import AGE_GROUPS, ATTRIBUTES, GENDERS, Attribute
from fastfer.validation import check_attributes, check_path

ATTRIBUTE_MODEL: Final = Path(__file__).parents[1] / "models" / "attributes.onnx"
"""The bundled model; packages built with ``FASTFER_ATTRIBUTES=0`` lack it."""
KIND: Final = "attributes"
SIZE: Final = 48
"""Side of the input in pixels."""
CHANNELS: Final = 1
SCALE: Final = 1 / 255
"""Gray levels are multiplied by it."""
CHUNK: Final = 64
"""Faces per run."""

_CLASSES: Final[dict[str, tuple[str, ...]]] = {"gender": GENDERS, "age": AGE_GROUPS}


class AttributeProbabilities(NamedTuple):
    """What the network returns for N faces; ``None`` for an attribute that was not asked for."""

    gender: NDArray[np.float32] | None
    """(N, 2) in the order of :data:`fastfer.labels.GENDERS`; rows sum to 1."""
    age: NDArray[np.float32] | None
    """(N, 9) in the order of :data:`fastfer.labels.AGE_GROUPS`; rows sum to 1."""


class AttributeClassifier:
    """The attribute network, loaded once; thread-safe."""

    def __init__(
        self,
        attributes: Iterable[Attribute] = ATTRIBUTES,
        model: str | os.PathLike[str] | None = None,
        threads: int | None = None,
    ) -> None:
        """Load an ONNX file of ``python -m training.attributes.export``.

        Args:
            attributes: which outputs to compute, of :data:`fastfer.labels.ATTRIBUTES`.
            model: path of the file; ``None`` for the bundled one.
            threads: threads of the runtime, see
                :class:`~fastfer.classifiers.native.EmotionClassifier`.

        Raises:
            ModelError: the file is missing (also if the package was built without it), not ONNX, or
                not an attribute network.
            UsageError: an unknown attribute, or ``threads`` out of range.
        """
        self.attributes = check_attributes(attributes)
        if model is not None:
            check_path(model=model)
        self.path = ATTRIBUTE_MODEL if model is None else Path(model)
        source, advice = str(self.path), "Pass a file of python -m training.attributes.export."
        if model is None:
            advice = "This package was built without attributes."
        data = read_model(self.path, advice)
        self._session = Session(data, source, pick_threads(threads), advice)
        metadata = self._session.metadata
        if _json(metadata.get("fastfer.kind")) != KIND or any(
            _json(metadata.get(f"fastfer.{name}")) != list(classes)
            for name, classes in _CLASSES.items()
        ):
            raise ModelError(f"{source}: not an attribute network of this version. {advice}")
        inputs = self._session.inputs
        outputs = {node.name for node in self._session.outputs}
        if (
            len(inputs) != 1
            or list(inputs[0].shape[1:]) != [SIZE, SIZE, 1]
            or outputs != {*_CLASSES}
        ):
            raise ModelError(
                f"{source}: inputs are {describe(inputs)}; expected one float32 input "
                f"(N, {SIZE}, {SIZE}, 1) and the outputs {', '.join(_CLASSES)}. {advice}"
            )
        self._input = inputs[0].name

    def predict(self, batch: ArrayLike) -> AttributeProbabilities:
        """Probabilities of the attributes of every face.

        Args:
            batch: (N, 48, 48, 1) float32 from 0 to 1, as the bundled expression network packs them;
                N may be 0.

        Raises:
            FrameError: ``batch`` has another shape or dtype.
            ModelError: the network fails.
        """
        faces = np.asarray(batch)
        if faces.shape[1:] != (SIZE, SIZE, CHANNELS) or faces.dtype != np.float32:
            raise FrameError(
                f"attributes need a batch (N, {SIZE}, {SIZE}, 1) float32; got {faces.shape} "
                f"{faces.dtype}"
            )
        names = list(self.attributes)
        rows: dict[str, list[NDArray[np.float32]]] = {
            name: [np.empty((0, len(_CLASSES[name])), np.float32)] for name in names
        }
        for start in range(0, len(faces), CHUNK):
            feed = {self._input: np.ascontiguousarray(faces[start : start + CHUNK])}
            outputs = self._session.run(names, feed)
            for name, values in zip(names, outputs, strict=True):
                shape = len(feed[self._input]), len(_CLASSES[name])
                check_output(values, shape, name, str(self.path))
                rows[name].append(values)
        found = {name: np.concatenate(parts) for name, parts in rows.items()}
        return AttributeProbabilities(found.get("gender"), found.get("age"))


def _json(text: str | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return None
