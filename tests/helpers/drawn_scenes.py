"""Drawn photos with drawn faces, and their labels."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

LANDMARKS = np.array([(0.3, 0.35), (0.7, 0.35), (0.5, 0.55), (0.35, 0.75), (0.65, 0.75)])
"""Of a drawn face, in units of its box."""


def draw_scene(rng: np.random.Generator, faces: int) -> tuple[np.ndarray, list[dict]]:
    """A gray photo (120, 160, 3) and its faces."""
    photo = np.full((120, 160, 3), 90, np.uint8)
    photo[:] = np.clip(photo + rng.normal(0, 8, photo.shape), 0, 255).astype(np.uint8)
    labels = []
    for number in range(faces):
        side = int(rng.integers(24, 48))
        x, y = number * 60 + int(rng.integers(0, 12)), int(rng.integers(4, 64))
        center = (x + side // 2, y + side // 2)
        cv2.ellipse(photo, center, (side // 2, side // 2), 0, 0, 360, (220, 220, 220), -1)
        landmarks = LANDMARKS * side + (x, y)
        for px, py in landmarks:
            cv2.circle(photo, (int(px), int(py)), max(side // 12, 1), (20, 20, 20), -1)
        box = [float(x), float(y), float(side), float(side)]
        labels.append({"box": box, "lm": landmarks.ravel().tolist(), "score": 0.9, "flip": 0.9})
    return photo, labels


def write_scenes(folder: Path, counts: dict[str, int], seed: int = 0) -> Path:
    """Write photos with 0 to 2 faces and their ``labels.jsonl``; ``counts`` is by split."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(seed)
    lines = []
    for split, count in counts.items():
        for number in range(count):
            photo, faces = draw_scene(rng, number % 3)
            file = f"{split}{number}.png"
            cv2.imwrite(str(folder / "images" / file), photo)
            kind = "face" if faces else "neg"
            lines.append({
                "file": file, "w": 160, "h": 120, "src": "drawn", "split": split, "kind": kind,
                "faces": faces, "ignore": [], "fp": [], "gt": None,
            })  # fmt: skip
    (folder / "labels.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder
