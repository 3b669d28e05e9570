"""Random faces with attributes, for training that needs no data."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.attributes.fairface import AGES, GENDERS, GROUPS, Faces


def random_faces(count: int, seed: int = 0) -> Faces:
    """``count`` faces of noise; the detector has missed one in ten."""
    rng = np.random.default_rng(seed)
    return Faces(
        rng.integers(0, 256, (count, 48, 48), np.uint8),
        np.arange(count) % 10 != 9,
        rng.random(count, np.float32),
        rng.integers(0, len(AGES), count),
        rng.integers(0, len(GENDERS), count),
        rng.integers(0, len(GROUPS), count),
    )


def write_fairface_tables(folder: Path, rows: str) -> None:
    """Tables of both splits; ``SPLIT`` in ``rows`` is replaced by the name of each."""
    for split in ("train", "val"):
        (folder / "fair_face" / split).mkdir(parents=True)
        text = "file,age,gender,race,service_test\n" + rows.replace("SPLIT", split)
        (folder / f"fairface_label_{split}.csv").write_text(text, encoding="utf-8")
