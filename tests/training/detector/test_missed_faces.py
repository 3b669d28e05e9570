"""Photos whose faces a detector misses become training data."""

from __future__ import annotations

import cv2
import numpy as np

from fastfer.detections import Detections
from tests.helpers.pictures import astronaut
from training.detector import missed_faces
from training.detector.photos import read_photos


def test_missed_faces_are_labelled(tmp_path):
    photos, out = tmp_path / "photos", tmp_path / "out"
    (photos / "deep").mkdir(parents=True)
    cv2.imwrite(str(photos / "deep" / "face.jpg"), astronaut())
    cv2.imwrite(str(photos / "empty.png"), np.zeros((64, 64, 3), np.uint8))
    (photos / "damaged.jpg").write_bytes(b"text")
    # A detector that finds no face under 400 px misses the one of the portrait.
    words = ["--photos", str(photos), "--teacher", "nano", "--detector", "nano:min_face=400"]
    words += ["--out", str(out)]
    assert missed_faces.main(words) == 0
    (photo,) = read_photos(out, "train")
    assert len(photo.known.boxes) == 1
    assert np.isnan(photo.known.landmarks).all()
    assert missed_faces.main(words) == 2, "the labels exist already"


def test_without_misses_the_sample_remains(tmp_path, capsys):
    photos = tmp_path / "photos"
    photos.mkdir()
    cv2.imwrite(str(photos / "face.jpg"), astronaut())
    words = ["--photos", str(photos), "--teacher", "nano"]
    assert missed_faces.main([*words, "--out", str(tmp_path / "a"), "--others", "5"]) == 0
    assert "0 photos with a missed face, 1 others" in capsys.readouterr().out
    assert missed_faces.main([*words, "--out", str(tmp_path / "b"), "--others", "0"]) == 3
    assert missed_faces.main(["--photos", str(tmp_path / "none"), "--teacher", "nano",
                              "--out", str(tmp_path / "c")]) == 3  # fmt: skip


def test_overlap_decides_what_is_missing():
    scores = np.ones(2, np.float32)
    faces = Detections(np.array([[0, 0, 10, 10], [50, 50, 10, 10]], np.float32), scores)
    found = Detections(np.array([[1, 1, 10, 10]], np.float32), scores[:1])
    assert missed_faces.missing(faces, found).tolist() == [False, True]
    assert missed_faces.missing(faces, found.take(np.array([], np.int64))).tolist() == [True, True]
