"""New landmarks for a folder of labels."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fastfer.errors import InputError
from training.detector import relabel
from training.detector.photos import LABELS, read_photos, regions

OLD = [10.0, 10, 30, 10, 20, 20, 12, 30, 28, 30]


def row(gt: list | None = None) -> dict:
    face = {"box": [0.0, 0, 40, 40], "lm": OLD, "score": 0.9}
    return {"file": "x.png", "faces": [face], "ignore": [], "fp": [], "gt": gt}


def shifted(pixels: float):
    return lambda box, landmarks: landmarks + np.array([pixels, 0])


def test_landmarks_that_agree_are_replaced():
    out = relabel.relabel(row(), shifted(2.0))
    assert out["faces"][0]["lm"] == [v + 2 if i % 2 == 0 else v for i, v in enumerate(OLD)]
    assert out["faces"][0]["score"] == 0.9
    assert out["gt"] is None


def test_a_face_without_agreement_stays_without_landmarks():
    drawn = [{"box": [2.0, 0, 40, 40]}, {"box": [100.0, 0, 20, 20]}]
    out = relabel.relabel(row(drawn), shifted(3.0))
    assert out["faces"] == []
    assert out["gt"] == [drawn[1], {"box": [0.0, 0, 40, 40]}], "the drawn box of the face goes"
    known = regions(out)
    assert len(known.boxes) == 2
    assert np.isnan(known.landmarks).all()
    assert relabel.relabel(row(drawn), shifted(3.0), max_difference=0.2)["faces"]


def test_difference_is_in_distances_of_the_eyes():
    old = np.reshape(OLD, (5, 2))
    assert relabel.difference(old, old + np.array([0, 5])) == pytest.approx(0.25)
    assert relabel.difference(old, np.zeros((5, 2))) == np.inf


def test_the_command_writes_labels_and_a_link(scenes, tmp_path, monkeypatch):
    class Mesh:
        def __init__(self, file):
            pass

        def landmarks(self, frame, box, landmarks):
            assert frame.shape == (120, 160, 3)
            return landmarks + 0.5

    monkeypatch.setattr(relabel, "FaceMesh", Mesh)
    out = tmp_path / "out"
    words = ["--data", str(scenes), "--mesh", "mesh.tflite", "--out", str(out)]
    assert relabel.main(words) == 0
    before, after = (read_photos(folder, "val") for folder in (scenes, out))
    assert len(before) == len(after)
    for a, b in zip(before, after, strict=True):
        np.testing.assert_allclose(b.known.landmarks, a.known.landmarks + 0.5, atol=0.06)
        np.testing.assert_array_equal(b.known.boxes, a.known.boxes)
    lines = [(folder / LABELS).read_text().splitlines() for folder in (scenes, out)]
    assert [json.loads(line)["file"] for line in lines[0]] == [
        json.loads(line)["file"] for line in lines[1]
    ]
    assert relabel.main(words) == 2, "the file exists"


def test_a_missing_folder(tmp_path):
    words = ["--data", str(tmp_path), "--mesh", "mesh.tflite", "--out", str(tmp_path / "out")]
    assert relabel.main(words) == 3


def test_damaged_labels_are_an_error(tmp_path, capsys):
    (tmp_path / LABELS).write_text("[]\n")
    words = ["--data", str(tmp_path), "--mesh", "mesh.tflite", "--out", str(tmp_path / "out")]
    assert relabel.main(words) == InputError.exit_code
    assert "line 1" in capsys.readouterr().err
