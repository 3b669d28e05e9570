"""Drawn faces, written in every layout that training reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from fastfer.labels import EMOTIONS
from training.expression.ferplus_votes import FERPLUS_COLUMNS

SIDE = 48
FERPLUS_NAMES = {
    "angry": "anger", "disgust": "disgust", "fear": "fear", "happy": "happiness",
    "sad": "sadness", "surprise": "surprise", "neutral": "neutral",
}  # fmt: skip
# Eye height, brow lift at the outer and the inner end, mouth width, opening, and bend (px); a bend
# above 0 lifts the corners.
EXPRESSIONS = {
    "angry": (2, -1, 3, 7, 0, -1), "disgust": (1, 0, 2, 6, 2, -4), "fear": (5, -2, -4, 8, 3, -2),
    "happy": (2, -2, -2, 10, 2, 5), "sad": (2, 1, -3, 7, 0, -5), "surprise": (5, -5, -5, 5, 6, 0),
    "neutral": (3, 0, 0, 7, 0, 0),
}  # fmt: skip


def draw_face(label: int, rng: np.random.Generator) -> np.ndarray:
    """(48, 48) uint8: an oval with eyes, brows and a mouth that show the emotion, and some noise.

    Drawn at four times the size and shrunk, so that lines are smooth.
    """
    eye, outer, inner, mouth, opening, bend = EXPRESSIONS[EMOTIONS[label]]
    k = 4
    skin, ground = int(rng.integers(150, 210)), int(rng.integers(30, 110))
    image = np.full((SIDE * k, SIDE * k), ground, np.uint8)
    dx, dy = (int(v) for v in rng.integers(-6, 7, 2))

    def at(x: float, y: float) -> tuple[int, int]:
        return round(x * k) + dx, round(y * k) + dy

    cv2.ellipse(image, at(24, 25), (19 * k, 23 * k), 0, 0, 360, skin, -1)
    for side in (-1, 1):
        x = 24 + side * 8.5
        cv2.ellipse(image, at(x, 19), (4 * k, eye * k), 0, 0, 360, 245, -1)
        cv2.circle(image, at(x, 19), min(eye, 3) * k, 20, -1)
        cv2.line(image, at(x + side * 4, 13 + outer), at(x - side * 4, 13 + inner), 30, 2 * k)
    points = [at(24 + mouth * t, 36 - bend * (t * t - 0.5)) for t in np.linspace(-1, 1, 9)]
    cv2.polylines(image, [np.array(points, np.int32)], False, 40, 2 * k)
    if opening:
        cv2.ellipse(image, at(24, 36 + bend / 2), ((mouth - 1) * k, opening * k), 0, 0, 360, 15, -1)
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.clip(small + rng.normal(0, 6, small.shape), 0, 255).astype(np.uint8)


def draw_faces(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Faces (n, 48, 48) and labels (n,), each class as often as the others, in random order."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % len(EMOTIONS))
    return np.stack([draw_face(int(label), rng) for label in labels]), labels


def row(label: object, face: np.ndarray, usage: str = "Training") -> str:
    """One line of the Kaggle CSV."""
    return f"{label},{' '.join(map(str, face.ravel().tolist()))},{usage}"


def csv_text(
    parts: dict[str, tuple[np.ndarray, np.ndarray]], header: str = "emotion,pixels,Usage"
) -> str:
    """The Kaggle CSV of named splits."""
    lines = [header]
    for usage, (faces, labels) in parts.items():
        lines += [row(label, face, usage) for face, label in zip(faces, labels, strict=True)]
    return "\n".join(lines) + "\n"


def votes_text(usages: Sequence[str], counts: Sequence[dict[str, int]]) -> str:
    """FER+ votes: one dictionary of counts by FER+ column for each row."""
    lines = [",".join(("Usage", "Image name", *FERPLUS_COLUMNS))]
    for i, (usage, votes) in enumerate(zip(usages, counts, strict=True)):
        numbers = (str(votes.get(c, 0)) for c in FERPLUS_COLUMNS)
        lines.append(",".join((usage, f"fer{i:07}.png", *numbers)))
    return "\n".join(lines) + "\n"


def write_folders(root: Path, parts: dict[str, tuple[np.ndarray, np.ndarray]], suffix: str) -> Path:
    """``root/<split>/<emotion>/<number><suffix>``."""
    for split, (faces, labels) in parts.items():
        for i, (face, label) in enumerate(zip(faces, labels, strict=True)):
            folder = root / split / EMOTIONS[label]
            folder.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / f"{i:05}{suffix}"), face)
    return root
