"""Labelled faces that load by index, so that training does not depend on where they are stored.

Faces of a CSV are in memory (83 MB for FER-2013); those of image folders are read batch by batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fastfer.errors import InputError

SIDE = 48
# Names of the splits in the different layouts of FER-2013.
TRAIN_SPLITS = ("Training", "train")
VALIDATION_SPLITS = ("PublicTest", "validation", "val", "test")
USAGES = (*TRAIN_SPLITS, *VALIDATION_SPLITS, "PrivateTest")
READ_CHUNK = 256


class FaceSource(Protocol):
    """Labelled faces that can be loaded by index."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,) class numbers."""
        ...

    @property
    def votes(self) -> NDArray[np.float32] | None:
        """(N, classes) shares of the FER+ votes, zeros in a row with too few of them; or None."""
        ...

    def __len__(self) -> int: ...

    def load(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Faces (n, 48, 48)."""
        ...

    def where(self, index: int) -> str:
        """The line or path that the face came from."""
        ...


@dataclass(frozen=True)
class ArraySource:
    """Faces in memory."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    votes: NDArray[np.float32] | None
    lines: NDArray[np.int64]
    path: Path

    def __len__(self) -> int:
        return len(self.labels)

    def load(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        return self.images[indices]

    def where(self, index: int) -> str:
        return f"{self.path}:{self.lines[index]}"


@dataclass(frozen=True)
class FolderSource:
    """Image files, read on each load."""

    paths: Sequence[Path]
    labels: NDArray[np.int64]
    votes: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def load(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        return np.stack([read_face(self.paths[i]) for i in indices])

    def where(self, index: int) -> str:
        return str(self.paths[index])


@dataclass(frozen=True)
class Subset:
    """Some faces of another source, with labels and votes of their own."""

    source: FaceSource
    indices: NDArray[np.int64]
    labels: NDArray[np.int64]
    votes: NDArray[np.float32] | None

    def __len__(self) -> int:
        return len(self.indices)

    def load(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        return self.source.load(self.indices[indices])

    def where(self, index: int) -> str:
        return self.source.where(int(self.indices[index]))


def take(source: FaceSource, indices: NDArray[np.int64]) -> Subset:
    """The faces of ``source`` at ``indices``."""
    votes = None if source.votes is None else source.votes[indices]
    return Subset(source, indices, source.labels[indices], votes)


def as_batch(faces: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Faces (n, 48, 48) uint8 as network input: (n, 48, 48, 1) float32 in [0, 1]."""
    return (faces.astype(np.float32) / np.float32(255))[..., None]


def iterate_faces(source: FaceSource) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Each face (48, 48) with its index, loaded in chunks."""
    for start in range(0, len(source), READ_CHUNK):
        indices = np.arange(start, min(start + READ_CHUNK, len(source)))
        yield from zip(indices.tolist(), source.load(indices), strict=True)


def read_face(path: Path) -> NDArray[np.uint8]:
    """One image file as a gray face (48, 48) uint8, resized by the kernel that inference uses.

    The whole picture is the face; a picture that is not square is stretched.

    Raises:
        InputError: the file cannot be read, or OpenCV cannot decode it.
    """
    import cv2

    # Read by NumPy: OpenCV does not open every path on Windows.
    try:
        content = np.fromfile(path, np.uint8)
        image = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
    except (OSError, cv2.error):  # A folder of that name; more pixels than OpenCV accepts.
        image = None
    if image is None:
        raise InputError(f"{path}: not a readable image", code="damaged")
    from fastfer.kernels.pack import pack_faces

    height, width = image.shape[:2]
    packed = pack_faces(
        np.asarray(image, np.uint8), np.array([[0, 0, width, height]]), size=SIDE, scale=1.0
    )
    return np.rint(packed[0, :, :, 0]).astype(np.uint8)


def spread(source: FaceSource, count: int) -> NDArray[np.uint8]:
    """Up to ``count`` faces (n, 48, 48), evenly spaced in ``source``."""
    chosen = np.linspace(0, len(source) - 1, min(count, len(source)))
    return source.load(np.unique(chosen.astype(np.int64)))
