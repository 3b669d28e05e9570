"""Likeness: the log odds that a crop shows a face, from the features that the heads share.

Fitted to faces of the training data, to crops of the photos with which the face detector was
trained (faces, random squares of photos without faces, and false detections) and to drawn faces.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fastfer.errors import InputError
from fastfer.kernels.pack import pack_faces
from training.expression.calibration import feature_tensor
from training.expression.drawings import drawn_faces
from training.expression.face_sources import SIDE, FaceSource, as_batch, spread
from training.expression.metrics import Doubles
from training.expression.predictors import BATCH, Floats, KerasPredictor

if TYPE_CHECKING:
    import keras

EXPRESSION_FACES = 9570
SQUARES = 2
"""Random squares of each photo without faces."""
FACE_SHARE = 0.4
"""Share of the photos with faces that is used."""
MIN_SCORE, MIN_SIDE = 0.75, 20
"""Smallest score and side in pixels of the faces used."""
WIDENED = 1.15
"""Side of a crop over the larger side of its box, as the crops of detectors are."""
DRAWN_FACES = 2000
DRAWN_WEIGHT = 0.25
"""Of the drawn faces, those of each other group being 1: with more, fewer squares and false
detections are recognised."""
FACES_BELOW = 0.025
"""Share of the training faces whose log odds are below 0."""
PENALTY = 3e-4
NEWTON_STEPS = 50


def likeness(
    predictor: KerasPredictor, faces: FaceSource, labels: Path, split: str = "train"
) -> tuple[Floats, float]:
    """Weights (features,) and bias of the log odds that a crop shows a face, moved so that
    :data:`FACES_BELOW` of ``faces`` are below 0.

    Args:
        predictor: the network.
        faces: training faces of the network.
        labels: JSON Lines of labelled photos, ``labels.jsonl`` of :mod:`training.detector`.
        split: the photos to use.

    Raises:
        InputError: ``labels`` or a photo cannot be read.
    """
    found, squares, errors = read_crops(labels, split)
    expressive = as_batch(spread(faces, EXPRESSION_FACES))
    drawn = as_batch(drawn_faces(DRAWN_FACES))
    groups = [
        (expressive, True, 1.0), (found, True, 1.0), (squares, False, 1.0), (errors, False, 1.0),
        (drawn, False, DRAWN_WEIGHT),
    ]  # fmt: skip
    import keras

    model = keras.Model(predictor.model.inputs, feature_tensor(predictor.model))
    fitted = [(_features(model, crops), kind, w) for crops, kind, w in groups if len(crops)]
    kernel, bias = fit_likeness(fitted)
    return kernel, bias - float(np.quantile(fitted[0][0] @ kernel + bias, FACES_BELOW))


def read_crops(labels: Path, split: str, seed: int = 1) -> tuple[Floats, Floats, Floats]:
    """Crops (n, 48, 48, 1) in [0, 1] of faces, random squares and false detections.

    Raises:
        InputError: ``labels`` or a photo cannot be read.
    """
    rng = np.random.default_rng(seed)
    found: list[Floats] = []
    squares: list[Floats] = []
    errors: list[Floats] = []
    try:
        with labels.open(encoding="utf-8") as file:
            photos = [photo for photo in map(json.loads, file) if photo["split"] == split]
        for photo in photos:
            with_faces = photo["kind"] == "face"
            used = not with_faces or rng.random() < FACE_SHARE
            faces = [
                _square(face["box"])
                for face in photo["faces"]
                if used and face["score"] >= MIN_SCORE and max(face["box"][2:]) >= MIN_SIDE
            ]
            wrong = [_square(box["box"]) for box in photo["fp"]]
            if with_faces and not faces and not wrong:
                continue
            picture = cv2.imread(str(labels.parent / "images" / photo["file"]))
            if picture is None:
                raise InputError(f"{labels}: cannot read {photo['file']}", code="damaged")
            image = np.asarray(picture, np.uint8)
            found += _crops(image, faces)
            errors += _crops(image, wrong)
            if not with_faces:
                squares += _crops(image, _random_squares(rng, image.shape[:2]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{labels}: not labelled photos: {error}", code="damaged") from error
    return _stacked(found), _stacked(squares), _stacked(errors)


def fit_likeness(groups: Sequence[tuple[Floats, bool, float]]) -> tuple[Floats, float]:
    """Logistic regression by Newton's method, with a penalty on the squared weights.

    Args:
        groups: features (n, F), whether they are of faces, and their weight. Faces have half of
            the total weight, which groups of the same kind share as their weights say.
    """
    rows = np.concatenate([np.c_[f, np.ones(len(f))] for f, *_ in groups]).astype(np.float64)
    wanted = np.concatenate([np.full(len(f), float(is_face)) for f, is_face, _ in groups])
    total = {kind: sum(w for _, is_face, w in groups if is_face == kind) for kind in (True, False)}
    weights = np.concatenate(
        [np.full(len(f), 0.5 * w / total[is_face] / len(f)) for f, is_face, w in groups]
    )
    x = np.zeros(rows.shape[1])
    ridge = np.r_[np.full(len(x) - 1, 2 * PENALTY), 1e-9]

    def loss(x: Doubles) -> float:
        score = rows @ x
        return float(weights @ (np.logaddexp(0, score) - wanted * score) + ridge @ x**2 / 2)

    for _ in range(NEWTON_STEPS):
        p = 0.5 * (1 + np.tanh(rows @ x / 2))
        gradient = rows.T @ (weights * (p - wanted)) + ridge * x
        square = (rows * (weights * p * (1 - p))[:, None]).T @ rows + np.diag(ridge)
        step, before = np.linalg.solve(square, gradient), loss(x)
        while loss(x - step) > before and np.abs(step).max() > 1e-9:
            step /= 2
        x = x - step
        if before - loss(x) < 1e-9:
            break
    return x[:-1].astype(np.float32), float(x[-1])


def _features(model: keras.Model, faces: Floats) -> Floats:
    parts = [
        np.asarray(model.predict_on_batch(faces[i : i + BATCH]))
        for i in range(0, len(faces), BATCH)
    ]
    return np.concatenate(parts)


def _square(box: Sequence[float]) -> tuple[float, float, float, float]:
    x, y, width, height = box
    side = max(width, height) * WIDENED
    return x + (width - side) / 2, y + (height - side) / 2, side, side


def _random_squares(
    rng: np.random.Generator, shape: tuple[int, ...]
) -> list[tuple[float, float, float, float]]:
    boxes = []
    for _ in range(SQUARES):
        side = rng.uniform(min(24, *shape), min(shape))
        boxes.append((rng.uniform(0, shape[1] - side), rng.uniform(0, shape[0] - side), side, side))
    return boxes


def _crops(image: NDArray[np.uint8], boxes: Sequence[Any]) -> list[Floats]:
    return [pack_faces(image, boxes, size=SIDE, scale=1 / 255)] if boxes else []


def _stacked(parts: list[Floats]) -> Floats:
    return np.concatenate([np.empty((0, SIDE, SIDE, 1), np.float32), *parts])
