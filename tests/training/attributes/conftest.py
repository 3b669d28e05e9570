"""Shared by the tests of the attribute network: random faces on disk, a run trained once."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.helpers.attribute_faces import random_faces, write_fairface_tables
from tests.helpers.pictures import astronaut
from training.attributes import train


@pytest.fixture(scope="session")
def attribute_faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    random_faces(120).write(folder, "train")
    random_faces(300, seed=1).write(folder, "val")
    return folder


@pytest.fixture(scope="session")
def attribute_run(attribute_faces: Path) -> Path:
    out = attribute_faces / "run"
    words = [
        "--data",
        str(attribute_faces),
        "--out",
        str(out),
        "--epochs",
        "1",
        "--batch-size",
        "64",
    ]
    assert train.main(words) == 0
    return out


@pytest.fixture
def fairface(tmp_path: Path) -> Path:
    """Three photos in each split: a face, nothing, and a face that is not where the labelled one
    should be."""
    write_fairface_tables(
        tmp_path,
        "SPLIT/1.jpg,30-39,Female,White,True\nSPLIT/2.jpg,03-Sep,Male,East Asian,False\n"
        "SPLIT/3.jpg,20-29,Female,Black,False\n",
    )
    near, far = astronaut()[60:192, 160:292], astronaut()[:448, :448]
    for split in ("train", "val"):
        photos = tmp_path / "fair_face" / split
        cv2.imwrite(str(photos / "1.jpg"), cv2.resize(near, (224, 224)))
        cv2.imwrite(str(photos / "2.jpg"), np.zeros((224, 224, 3), np.uint8))
        cv2.imwrite(str(photos / "3.jpg"), cv2.resize(far, (224, 224)))
    return tmp_path
