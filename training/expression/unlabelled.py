"""Unlabelled faces beside the labelled ones: noisy-student training (Xie et al., 2020).

The teachers classify each unlabelled face and its mirror image once, as it is; the student learns
that answer for every augmented version of the face. So it learns from faces that no data set
labels, and to answer alike for crops of one face that differ by a few pixels.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastfer.errors import InputError
from training.expression.batches import Targets
from training.expression.face_sources import SIDE, ArraySource, FaceSource


def read_unlabelled(path: Path) -> ArraySource:
    """The faces of a file with an array ``pixels`` (N, 48, 48) uint8 and, optionally, a mask
    ``found`` (N,) of those to use, as :mod:`training.attributes.faces` writes it.

    Raises:
        InputError: the file does not exist or holds something else.
    """
    try:
        with np.load(path) as file:
            pixels = file["pixels"]
            if "found" in file:
                pixels = pixels[file["found"]]
    except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a file of faces ({error})") from None
    if pixels.dtype != np.uint8 or pixels.shape[1:] != (SIDE, SIDE) or not len(pixels):
        raise InputError(
            f"{path}: pixels must be (N, {SIDE}, {SIDE}) uint8; got {pixels.shape} {pixels.dtype}"
        )
    count = len(pixels)
    return ArraySource(pixels, np.zeros(count, np.int64), None, np.arange(count), path)


@dataclass(frozen=True)
class Joined:
    """The faces of two sources, one after the other."""

    first: FaceSource
    second: FaceSource

    @property
    def labels(self) -> NDArray[np.int64]:
        return np.concatenate([self.first.labels, self.second.labels])

    @property
    def votes(self) -> None:
        return None

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def load(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        own = indices < len(self.first)
        faces = np.empty((len(indices), SIDE, SIDE), np.uint8)
        faces[own] = self.first.load(indices[own])
        faces[~own] = self.second.load(indices[~own] - len(self.first))
        return faces

    def where(self, index: int) -> str:
        count = len(self.first)
        return self.first.where(index) if index < count else self.second.where(index - count)


def joined_targets(targets: Targets, taught: Targets, share: float) -> Targets:
    """Targets of the labelled faces, followed by those of unlabelled ones.

    ``share`` is the weight of online distillation, whose answers :class:`FaceBatches` blends in
    with the weight of each face. That is 0 for unlabelled ones: their rows are divided by what
    remains.
    """
    return {
        name: np.concatenate([rows, taught[name] / np.float32(1 - share)])
        for name, rows in targets.items()
    }
