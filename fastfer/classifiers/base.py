"""The interface of expression classifiers, and the checks that they share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastfer.classifiers.contract import ModelContract
from fastfer.errors import FrameError, ModelError
from fastfer.kernels.pack import pack_faces
from fastfer.labels import ALL_EMOTIONS, CONTEMPT, EMOTIONS

PROBABILITY_TOLERANCE: Final = 1e-3
"""Accepted rounding error of probabilities at 0 and 1, and of their sum."""


class Predictions(NamedTuple):
    """What a network returns for N faces."""

    probabilities: NDArray[np.float32]
    """(N, C) in the order of :attr:`Classifier.emotions`; rows sum to 1."""
    likeness: NDArray[np.float32] | None = None
    """(N,) log odds that the crop shows a face; ``None`` for networks without such an output."""


class Classifier(ABC):
    """An expression network, loaded once; all methods are thread-safe."""

    path: Path
    """The ONNX file."""
    threads: int
    """Threads of the runtime."""
    contract: ModelContract
    """Input size, pixel scaling and outputs."""

    @property
    def emotions(self) -> tuple[str, ...]:
        """The classes of its rows: the seven emotions, and contempt if the network has it."""
        return ALL_EMOTIONS if CONTEMPT in self.contract.labels else EMOTIONS

    def batch(self, count: int) -> NDArray[np.float32]:
        """An uninitialised batch for ``count`` faces, (count, S, S, C) float32."""
        size = self.contract.input_size
        return np.empty((count, size, size, self.contract.channels), np.float32)

    def pack(
        self,
        frame: NDArray[np.uint8],
        crops: NDArray[np.float32],
        angles: ArrayLike | None = None,
        out: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Crop, resize and normalise faces as the network requires.

        Args:
            frame: uint8, (H, W, 3) BGR or (H, W) gray.
            crops: (N, 4) x, y, width, height in frame pixels.
            angles: (N,) radians by which the faces are rolled, see
                :func:`fastfer.kernels.pack.pack_faces`.
            out: batch to fill, as from :meth:`batch`.

        Returns:
            (N, S, S, C) float32.

        Raises:
            FrameError: ``frame`` or ``out`` has another dtype, shape or layout.
            BoxError: a crop is not finite, empty or outside the frame.
        """
        contract = self.contract
        return pack_faces(
            frame,
            crops,
            size=contract.input_size,
            scale=contract.scale,
            bias=contract.bias,
            angles=angles,
            out=out,
        )

    @abstractmethod
    def predict(self, batch: ArrayLike) -> NDArray[np.float32]:
        """Probabilities of the emotions for every face.

        Args:
            batch: (N, S, S, C) float32 as from :meth:`pack`; N may be 0.

        Returns:
            (N, C) float32 in the order of :attr:`emotions`; rows sum to 1, and emotions that the
            network lacks are 0.

        Raises:
            FrameError: ``batch`` has another shape or dtype, or is not finite.
            ModelError: the network fails, or its output is not a probability distribution.
        """

    def classify(self, batch: ArrayLike) -> Predictions:
        """As :meth:`predict`, with the likeness of networks that have that output."""
        shape = len(np.asarray(batch)), len(self.emotions)
        return Predictions(_distributions(self.predict(batch), shape, type(self).__name__))


def _distributions(values: object, shape: tuple[int, int], name: str) -> NDArray[np.float32]:
    """``values``, what the class ``name`` predicts for a batch, as an array.

    Raises:
        ModelError: they are not of this shape, or not probabilities that sum to 1.
    """
    try:
        found = np.asarray(values, np.float32)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{name}.predict() must return numbers: {error}") from None
    check_output(found, shape, "predict()", name)
    off = np.abs(found.sum(axis=1) - 1).max(initial=0)
    if off > PROBABILITY_TOLERANCE or found.min(initial=0) < -PROBABILITY_TOLERANCE:
        raise ModelError(
            f"{name}.predict() must return probabilities, 0 to 1, whose rows sum to 1; the first "
            f"row is {found[0].tolist()}",
            code="not_probabilities",
        )
    return found


def check_batch(batch: ArrayLike, contract: ModelContract) -> NDArray[np.float32]:
    """``batch`` as an array.

    Raises:
        FrameError: it is not finite, or not (N, S, S, C) float32 as ``contract`` requires.
    """
    faces = np.asarray(batch)
    size, channels = contract.input_size, contract.channels
    if faces.ndim != 4 or faces.shape[1:] != (size, size, channels) or faces.dtype != np.float32:
        raise FrameError(
            f"batch must be (N, {size}, {size}, {channels}) float32; got {faces.shape} "
            f"{faces.dtype}. Use the classifier's pack()."
        )
    if not np.isfinite(faces).all():
        raise FrameError("batch must be finite; it contains NaN or infinity")
    return faces


def check_output(
    values: NDArray[np.float32], shape: tuple[int, int], name: str, source: str
) -> None:
    """Check the output ``name`` of the model ``source``.

    Raises:
        ModelError: it has another shape than ``shape``, or is not finite.
    """
    if values.shape != shape:
        raise ModelError(f"{source}: output {name!r} has shape {values.shape}, expected {shape}")
    if not np.isfinite(values).all():
        raise ModelError(
            f"{source}: output {name!r} is not finite (NaN or infinity); the file is damaged, or "
            "its training diverged",
            code="not_probabilities",
        )
