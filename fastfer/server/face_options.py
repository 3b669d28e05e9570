"""What a request wants to know of each face."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TypeVar

from fastfer.labels import Attribute
from fastfer.results import FrameResult

R = TypeVar("R", bound=FrameResult)


def with_options(
    result: R,
    *,
    min_quality: float = 0.0,
    landmarks: bool = True,
    attributes: Collection[Attribute] = (),
) -> R:
    """``result`` as the options of a request ask for it."""
    known = next((face.attributes for face in result.faces if face.attributes is not None), None)
    fits = known is None or set(known.names) <= set(attributes)
    if min_quality <= 0 and landmarks and fits:
        return result
    faces = []
    for face in result.faces:
        if face.attributes is not None:
            face = replace(face, attributes=face.attributes.only(attributes))
        if face.quality < min_quality:
            face = replace(face, low_quality=True, emotion=None, score=None, attributes=None)
        faces.append(face if landmarks else replace(face, landmarks=None))
    return replace(result, faces=tuple(faces))
