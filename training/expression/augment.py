"""Random augmentation of training faces, outside the graph, repeatable by seed."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.errors import UsageError

JITTER: Final = 0.03
"""Largest shift, as a share of the side, and change of size between the views of a pair."""
JITTER_DEGREES: Final = 3.0
"""Largest rotation between them."""


def _range(default: float, largest: float, help: str) -> Any:
    """An option from 0 to ``largest`` with its help text."""
    return field(default=default, metadata={"largest": largest, "help": help})


@dataclass(frozen=True)
class Augmentation:
    """Random changes of a face; the defaults are those of the classic tutorials.

    Raises:
        UsageError: a number is negative, too large or not finite.
    """

    rotation: float = _range(10.0, 180, "largest rotation in degrees, in both directions")
    shift: float = _range(0.10, 1, "largest shift on each axis, as a share of the side")
    zoom: float = _range(0.10, 0.9, "largest change of size, as a share, in both directions")
    flip: bool = field(default=True, metadata={"help": "mirror each face with probability 0.5"})
    brightness: float = _range(0.0, 1, "largest brightness offset, as a share of full scale")
    contrast: float = _range(0.0, 1, "largest change of contrast around the mean of the face")
    blur: float = _range(
        0.0, 1, "probability of blur: reduced by up to 2.5 and enlarged again, or Gaussian"
    )
    erase: float = _range(0.0, 1, "probability of noise in a rectangle of 4 to 25 %% of the area")
    mixup: float = _range(
        0.0, 10, "alpha of the Beta distribution that blends pairs of faces; 0 disables it"
    )

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if not isinstance(value, bool) and not 0 <= value <= f.metadata["largest"]:
                raise UsageError(
                    f"--{f.name} must be between 0 and {f.metadata['largest']}, got {value}",
                    code="out_of_range",
                )

    @classmethod
    def none(cls) -> Augmentation:
        """No augmentation."""
        return cls(rotation=0, shift=0, zoom=0, flip=False)

    def apply(self, faces: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.float32]:
        """Augmented faces (n, h, w) float32 in [0, 1]; :meth:`mix` applies mixup."""
        return self._views(faces, rng, 1)[:, 0]

    def pairs(self, faces: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.float32]:
        """(n, 2, h, w): each face as :meth:`apply` changes it, and once more with the crop moved,
        scaled and rolled by as much as a detector's box errs, see :data:`JITTER`."""
        return self._views(faces, rng, 2)

    def _views(
        self, faces: NDArray[np.uint8], rng: np.random.Generator, views: int
    ) -> NDArray[np.float32]:
        """(n, views, h, w)."""
        n, height, width = map(int, faces.shape)
        out = np.empty((n, views, height, width), np.float32)
        angle = rng.uniform(-self.rotation, self.rotation, n)
        zoom = 1 + rng.uniform(-self.zoom, self.zoom, n)
        shift = rng.uniform(-self.shift, self.shift, (n, 2)) * (width, height)
        flip = rng.random(n) < (0.5 if self.flip else 0)
        gain = 1 + rng.uniform(-self.contrast, self.contrast, n)
        offset = rng.uniform(-self.brightness, self.brightness, n)
        blur = rng.random(n) < self.blur
        erase = rng.random(n) < self.erase
        # Its own generator, so that the first view is that of apply().
        jitter = _jitter(n, width, height, rng.spawn(1)[0]) if views > 1 else ()
        for i in range(n):
            face = faces[i]
            if blur[i]:
                face = _lose_resolution(face, rng)
            matrix: Any = cv2.getRotationMatrix2D(
                ((width - 1) / 2, (height - 1) / 2), float(angle[i]), float(zoom[i])
            )
            matrix[:, 2] += shift[i]
            if flip[i]:
                # x -> width - 1 - x before the rotation.
                matrix[:, 2] += matrix[:, 0] * (width - 1)
                matrix[:, 0] *= -1
            for view in range(views):
                if view:
                    matrix = jitter[i] @ np.vstack([matrix, (0, 0, 1)])
                out[i, view] = cv2.warpAffine(
                    face, matrix, (width, height), flags=cv2.INTER_LINEAR,
                    borderMode=cv2.BORDER_REPLICATE,
                )  # fmt: skip
        out /= 255
        if self.contrast or self.brightness:
            mean = out.mean(axis=(2, 3), keepdims=True)
            out = (out - mean) * gain[:, None, None, None].astype(np.float32) + mean
            out += offset[:, None, None, None].astype(np.float32)
            np.clip(out, 0, 1, out=out)
        for i in np.flatnonzero(erase).tolist():
            _erase(out[i], rng)
        return out

    def mix(
        self,
        faces: NDArray[np.float32],
        targets: dict[str, NDArray[np.float32]],
        rng: np.random.Generator,
    ) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
        """Blend each face, or pair of views, and its targets with another's (Zhang et al., mixup,
        2018)."""
        if self.mixup <= 0:
            return faces, targets
        share = np.float32(rng.beta(self.mixup, self.mixup))
        other = rng.permutation(len(faces))
        return (
            share * faces + (1 - share) * faces[other],
            {k: share * v + (1 - share) * v[other] for k, v in targets.items()},
        )


def _jitter(n: int, width: int, height: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """(n, 2, 3): small errors of the box, to apply after a crop's own matrix."""
    shift = rng.uniform(-JITTER, JITTER, (n, 2)) * (width, height)
    scale = 1 + rng.uniform(-JITTER, JITTER, n)
    angle = np.radians(rng.uniform(-JITTER_DEGREES, JITTER_DEGREES, n))
    matrices = np.empty((n, 2, 3))
    matrices[:, 0, 0] = matrices[:, 1, 1] = scale * np.cos(angle)
    matrices[:, 0, 1] = scale * np.sin(angle)
    matrices[:, 1, 0] = -matrices[:, 0, 1]
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    matrices[:, :, 2] = centre + shift - matrices[:, :, :2] @ centre
    return matrices


def _lose_resolution(face: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    height, width = face.shape
    if rng.random() < 0.5:
        scale = rng.uniform(1.2, 2.5)
        small = cv2.resize(
            face, (round(width / scale), round(height / scale)), interpolation=cv2.INTER_AREA
        )
        blurred = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    else:
        blurred = cv2.GaussianBlur(face, (0, 0), float(rng.uniform(0.4, 1.2)))
    return np.asarray(blurred, np.uint8)


def _erase(views: NDArray[np.float32], rng: np.random.Generator) -> None:
    """Fill one rectangle of all ``views`` (V, h, w) of a face with the same noise."""
    height, width = views.shape[1:]
    area = rng.uniform(0.04, 0.25) * height * width
    aspect = np.exp(rng.uniform(np.log(0.4), np.log(2.5)))
    h = int(np.clip(round(np.sqrt(area * aspect)), 1, height - 1))
    w = int(np.clip(round(np.sqrt(area / aspect)), 1, width - 1))
    top, left = rng.integers(0, height - h + 1), rng.integers(0, width - w + 1)
    views[:, top : top + h, left : left + w] = rng.random((h, w), dtype=np.float32)
