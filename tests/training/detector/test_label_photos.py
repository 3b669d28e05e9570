"""Labels on which two detectors agree."""

from __future__ import annotations

import cv2
import numpy as np

from fastfer.detections import Detections
from tests.helpers.pictures import astronaut
from training.detector import label_photos
from training.detector.photos import read_photos

CONFIDENT = (0.5, 0.3)


def found(*faces):
    """Detections of (x, y, side, score)."""
    rows = np.array(faces, np.float32).reshape(-1, 4)
    marks = np.repeat(rows[:, None, :2], 5, axis=1)
    return Detections(rows[:, [0, 1, 2, 2]], rows[:, 3], marks)


def test_each_detector_confirms_the_other():
    first = found((0, 0, 20, 0.9), (50, 0, 20, 0.4), (100, 0, 20, 0.9))
    second = found((2, 0, 20, 0.6), (50, 0, 20, 0.9), (0, 90, 20, 0.9))
    agreed = label_photos.agree(first, second, label_photos.NONE, CONFIDENT)
    np.testing.assert_array_equal(agreed.faces.boxes, [[1, 0, 20, 20]])
    np.testing.assert_array_equal(agreed.faces.landmarks, [[[1, 0]] * 5])
    assert agreed.ignore == [[50, 0, 20, 20], [100, 0, 20, 20], [0, 90, 20, 20]]


def test_a_drawn_box_confirms_what_one_detector_finds():
    drawn = np.array([[100, 0, 25, 20], [200, 0, 25, 20]], np.float64)
    agreed = label_photos.agree(found((100, 2, 20, 0.35)), found(), drawn, CONFIDENT)
    np.testing.assert_array_equal(agreed.faces.boxes, [[100, 2, 20, 20]])
    assert agreed.ignore == []
    np.testing.assert_array_equal(agreed.unfound, drawn[1:])
    np.testing.assert_allclose(agreed.places, [[0, 0.1, 0.8, 1]])
    moved = label_photos.placed(agreed.unfound, agreed.places[0])
    np.testing.assert_allclose(moved, [[200, 2, 20, 20]])


def test_without_any_face():
    agreed = label_photos.agree(found(), found(), label_photos.NONE, CONFIDENT)
    assert not len(agreed.faces)
    assert not agreed.ignore
    assert not len(label_photos.placed(agreed.unfound, None))


def test_photos_become_training_data(tmp_path, capsys):
    photos, drawn = tmp_path / "photos", tmp_path / "drawn"
    for folder in (photos, drawn):
        folder.mkdir()
    face = astronaut()
    cv2.imwrite(str(photos / "face.jpg"), face)
    noise = np.random.default_rng(1).integers(0, 256, (8, 8, 3), np.uint8)
    noise = cv2.resize(noise, (96, 96), interpolation=cv2.INTER_NEAREST)
    cv2.imwrite(str(photos / "aside.png"), noise)
    cv2.imwrite(str(photos / "mirrored.jpg"), noise[:, ::-1])
    (tmp_path / "aside.csv").write_text("Name,width\naside.png,9\n")
    box = "<bndbox><xmin>2</xmin><ymin>3</ymin><xmax>32</xmax><ymax>43</ymax></bndbox>"
    (drawn / "face.xml").write_text(f"<annotation><object>{box}</object></annotation>")
    words = ["--photos", str(photos), "--first", "nano", "--second", "nano:detect_size=384"]
    words += ["--drawn", str(drawn), "--except", str(tmp_path / "aside.csv")]
    assert label_photos.main([*words, "--out", str(tmp_path / "out")]) == 0
    assert "1 photos, 1 faces; 1 photos like excepted ones" in capsys.readouterr().out
    (photo,) = read_photos(tmp_path / "out", "train")
    known = photo.known
    assert np.isfinite(known.landmarks[0]).all()
    np.testing.assert_array_equal(known.boxes[1], [2, 3, 30, 40])
    assert label_photos.main([*words, "--out", str(tmp_path / "out")]) == 2, "it exists already"
    (drawn / "face.xml").write_text("<annotation>")
    assert label_photos.main([*words, "--out", str(tmp_path / "b")]) == 3
    words[-1] = str(tmp_path / "none.csv")
    assert label_photos.main([*words, "--out", str(tmp_path / "b")]) == 3
