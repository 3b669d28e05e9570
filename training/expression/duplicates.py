"""Pixel-identical faces in training and in the splits that a network is measured on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from training.expression.face_sources import FaceSource, iterate_faces

TRAINING = "training"


def straddling_duplicates(
    train: FaceSource, others: Mapping[str, FaceSource]
) -> list[dict[str, list[str]]]:
    """Pixel-identical faces of ``train`` and ``others``.

    Returns:
        for each such picture, its places by split; that of ``train`` is called ``"training"``.
    """
    parts = {TRAINING: train, **others}
    seen: dict[bytes, dict[str, list[int]]] = {}
    for name, source in parts.items():
        for index, face in iterate_faces(source):
            digest = hashlib.blake2b(face.tobytes(), digest_size=16).digest()
            # Training comes first; a picture that it does not hold cannot leak.
            if name == TRAINING or digest in seen:
                seen.setdefault(digest, {}).setdefault(name, []).append(index)
    return [
        {name: [parts[name].where(index) for index in places] for name, places in group.items()}
        for group in seen.values()
        if len(group) > 1
    ]
