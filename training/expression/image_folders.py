"""FER-2013 as image folders: ``train/<emotion>/*.jpg`` and ``test/`` or ``validation/``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastfer.errors import InputError
from fastfer.labels import EMOTIONS
from training.expression.bad_rows import BadRows
from training.expression.face_sources import (
    TRAIN_SPLITS,
    VALIDATION_SPLITS,
    FaceSource,
    FolderSource,
    read_face,
)

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}
# Other names of the classes in published data sets.
FOLDER_ALIASES = {
    "anger": "angry", "disgusted": "disgust", "fearful": "fear", "afraid": "fear",
    "happiness": "happy", "sadness": "sad", "surprised": "surprise",
}  # fmt: skip


def read_folders(root: Path, bad: BadRows) -> dict[str, FaceSource]:
    """The splits in ``root``, by folder name; unreadable images and unknown labels go to ``bad``.

    Raises:
        InputError: there are no faces, or two folders of one split.
    """
    known = {name.lower(): name for name in (*TRAIN_SPLITS, *VALIDATION_SPLITS)}
    splits: dict[str, FaceSource] = {}
    folders: dict[str, str] = {}
    for folder in sorted(p for p in root.iterdir() if p.is_dir()):
        split = known.get(folder.name.lower())
        if split is None:
            continue
        if split in folders:
            raise InputError(
                f"{root}: {folders[split]} and {folder.name} are folders of one split; merge them"
            )
        folders[split] = folder.name
        paths: list[Path] = []
        labels: list[int] = []
        for emotion in sorted(p for p in folder.iterdir() if p.is_dir() and not _hidden(p)):
            name = FOLDER_ALIASES.get(emotion.name.lower(), emotion.name.lower())
            if name not in EMOTIONS:
                bad.add(str(emotion), f"unknown label {emotion.name!r}")
                continue
            for file in sorted(emotion.iterdir()):
                if file.suffix.lower() not in IMAGE_SUFFIXES or _hidden(file):
                    continue
                try:
                    read_face(file)
                except InputError:
                    bad.add(str(file), "not a readable image")
                    continue
                paths.append(file)
                labels.append(EMOTIONS.index(name))
        splits[split] = FolderSource(paths, np.array(labels, np.int64))
    if not any(len(s) for s in splits.values()) and not bad.found:
        raise InputError(
            f"{root}: no faces found; expected train/<emotion>/*.jpg and test/ or validation/ "
            f"next to it, with the emotions {', '.join(EMOTIONS)}",
            code="no_pictures",
        )
    return splits


def _hidden(path: Path) -> bool:
    """Whether the file system, a desktop or a notebook keeps notes of its own in it."""
    return path.name.startswith(".")
