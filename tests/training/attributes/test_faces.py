"""Cropped faces of FairFace."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from fastfer.engine import Engine
from training.attributes.faces import FRAMED, MIN_OVERLAP, crop_faces, main, overlaps
from training.attributes.fairface import AGES, Faces, read_table


def test_the_face_of_a_photo_is_cropped(fairface: Path) -> None:
    faces = crop_faces(read_table(fairface, "val"), Engine(threads=1))
    assert faces.found.tolist() == [True, False, False]
    assert faces.quality[0] > 0
    assert faces.pixels[0].std() > 20
    assert not faces.pixels[1].any()


def test_a_face_elsewhere_in_the_photo_is_not_the_labelled_one(fairface: Path) -> None:
    """The third photo has a face, which is far from filling it."""
    engine = Engine(threads=1)
    photo = read_table(fairface, "val")[2].path
    assert len(engine.detector.detect(np.asarray(cv2.imread(str(photo)), np.uint8))) == 1
    assert not crop_faces(read_table(fairface, "val")[2:], engine).found[0]


def test_overlaps_are_measured_within_the_photo() -> None:
    x, y, width, height = np.array(FRAMED) * 224
    boxes = np.array([
        [x, y, width, height],
        [x, y - 100, width, height + 100],  # Detectors add the forehead above the photo.
        [x, y, width, height / 2],
        [90, 90, 20, 20],
        [-50, -50, 40, 40],
    ])  # fmt: skip
    found = overlaps(boxes, (224, 224))
    assert found[:3] == pytest.approx([1, 1, 0.5], abs=0.01)
    assert found[3] < MIN_OVERLAP
    assert found[4] == 0
    assert overlaps(np.empty((0, 4)), (224, 224)).shape == (0,)


def test_one_table_is_enough_for_the_fairness_table(fairface: Path, tmp_path: Path) -> None:
    out = tmp_path / "faces"
    assert main(["--data", str(fairface), "--out", str(out), "--split", "val"]) == 0
    assert [path.name for path in out.iterdir()] == ["val.npz"]


def test_command_writes_what_training_reads(
    fairface: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "faces"
    assert main(["--data", str(fairface), "--out", str(out)]) == 0
    assert "33.33 %" in capsys.readouterr().out
    faces = Faces.read(out, "train")
    assert len(faces) == 3
    assert faces.age.tolist() == [AGES.index("30-39"), AGES.index("3-9"), AGES.index("20-29")]
    assert len(faces.take(faces.found)) == 1
    assert main(["--data", str(tmp_path / "none"), "--out", str(out)]) == 3
