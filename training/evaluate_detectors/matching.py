"""Which boxes of a detector are faces, and which are false alarms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastfer.kernels.boxes import iou
from training.evaluate_detectors.labelled_photos import Boxes, LabelledPhoto

MIN_IOU = 0.4
"""Overlap from which a box has found a face; hand-drawn boxes are not more exact."""
NEAR = 0.2
"""Overlap with a known face or ignored region from which a box is no false alarm."""


def match(
    photo: LabelledPhoto, boxes: Boxes, min_iou: float = MIN_IOU
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Match ``boxes`` (N, 4), best score first, with the faces of ``photo``.

    Returns:
        (N,) the index of the face that each box finds, -1 for none, each face once; and (N,)
        whether it is a false alarm. A box may be neither: near a face that another box found, or
        in an ignored region.
    """
    face_of = np.full(len(boxes), -1, np.int64)
    overlap = iou(boxes, photo.faces)
    free = np.ones(len(photo.faces), bool)
    for i in range(len(boxes)):
        best = int(np.argmax(overlap[i] * free)) if free.any() else -1
        if best >= 0 and free[best] and overlap[i, best] >= min_iou:
            face_of[i], free[best] = best, False
    known = np.concatenate([photo.faces, photo.ignore])
    near = iou(boxes, known).max(axis=1, initial=0) >= NEAR
    centre = boxes[:, None, :2] + boxes[:, None, 2:] / 2
    corner, side = photo.ignore[:, :2], photo.ignore[:, 2:]
    within = np.all((centre >= corner) & (centre <= corner + side), axis=2)
    ignored = np.any(within, axis=1)
    return face_of, (face_of < 0) & ~near & ~ignored
