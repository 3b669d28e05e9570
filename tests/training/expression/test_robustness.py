"""Robustness: the changes of the faces, and the report."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.helpers.drawn_faces import draw_faces
from training.expression import robustness
from training.expression.face_sources import ArraySource
from training.expression.robustness import CHANGES, changed, main, measure


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    return draw_faces(28)[0]


class Mean:
    """A network that classifies bright faces as happy and dark ones as sad."""

    path = Path("mean.onnx")
    heads = ("probabilities", "fer2013")

    def predict(self, batch, head=None):
        probabilities = np.zeros((len(batch), 7), np.float32)
        bright = batch.mean(axis=(1, 2, 3)) > 0.3
        probabilities[bright, 3] = probabilities[~bright, 4] = 1
        return probabilities


@pytest.mark.parametrize("name", list(CHANGES))
def test_changes_are_repeatable_and_in_range(faces, name):
    out = changed(faces, name, 3)
    assert out.shape == (28, 48, 48, 1)
    assert out.dtype == np.float32
    assert out.min() >= 0
    assert out.max() <= 1
    plain = faces.astype(np.float32)[..., None] / 255
    assert np.abs(out - plain).mean() > 0.005
    assert np.corrcoef(out.ravel(), plain.ravel())[0, 1] > 0.5
    np.testing.assert_array_equal(out, changed(faces, name, 3))
    # In chunks as in one call.
    np.testing.assert_array_equal(out[20:], changed(faces[20:], name, 3, start=20))


def test_brightness_by_hand(faces):
    np.testing.assert_allclose(
        changed(faces, "darkened to 0.5", 0)[..., 0] * 255, np.rint(faces * 0.5), atol=1e-4
    )
    np.testing.assert_allclose(
        changed(faces, "brightened by 1.5", 0)[..., 0] * 255,
        np.minimum(np.rint(faces * 1.5), 255),
        atol=1e-4,
    )


@pytest.mark.parametrize(
    ("name", "place", "scale"),
    [
        ("box shifted by 10 %", 4.8, 0),
        ("box scaled by 10 %", 0, 0.1),
        ("box shifted and scaled by 10 %", 4.8, 0.1),
    ],
)
def test_boxes_move_within_their_range(name, place, scale):
    """Two dots on the middle row show the position and size of the box."""
    face = np.zeros((48, 48), np.uint8)
    for x in (16, 31):
        cv2.circle(face, (x, 24), 2, 255, -1)
    moves, sizes = [], []
    for image in changed(np.tile(face, (300, 1, 1)), name, 0)[..., 0]:
        ys, xs = np.indices(image.shape)
        middle = (xs * image).sum() / image.sum()
        left, right = (
            (xs * part).sum() / part.sum()
            for part in (image * (xs < middle), image * (xs >= middle))
        )
        moves.append((middle - 23.5, (ys * image).sum() / image.sum() - 24))
        sizes.append((right - left) / 15)
    assert np.abs(moves).max() <= place / (1 - scale) + 0.35
    assert np.abs(moves).max() >= 0.9 * place
    assert max(sizes) <= 1 / (1 - scale) + 0.03
    assert min(sizes) >= 1 / (1 + scale) - 0.03
    if scale:
        assert max(sizes) - min(sizes) > 0.15


def test_shares_by_hand(faces, monkeypatch):
    monkeypatch.setattr(robustness.evaluate, "CHUNK", 5)
    images = np.full((12, 48, 48), 200, np.uint8)
    images[:4] = 100  # 0.39: bright, but not when darkened to a half
    labels = np.array([3] * 6 + [4] * 6)
    votes = np.zeros((12, 7), np.float32)
    votes[:3, 4] = 1  # three faces are sad by majority, the others have no votes
    source = ArraySource(images, labels, votes, np.arange(12), Path("x"))
    by_labels = measure(Mean(), "fer2013", source)
    assert by_labels["clean"] == {"accuracy": 0.5, "kept": 1.0}
    assert by_labels["darkened to 0.5"] == {
        "accuracy": pytest.approx(2 / 12),
        "kept": pytest.approx(2 / 6),
    }
    by_votes = measure(Mean(), "probabilities", source)
    assert by_votes["clean"]["accuracy"] == 0
    assert by_votes["darkened to 0.5"]["accuracy"] == 1
    assert list(by_votes) == ["clean", *CHANGES]


def test_the_command_writes_its_report(trained_run, faces_csv, photos_npz, tmp_path, capsys):
    out = tmp_path / "report"
    words = (trained_run, "--data", faces_csv, "--photos", photos_npz, "--out", out)
    assert main([str(w) for w in words]) == 0
    report = json.loads((out / "robustness.json").read_text())
    assert report["model"] == trained_run.name
    found = report["outputs"]["probabilities"]
    assert found["judged_by"] == "FER-2013 labels"
    assert list(found["changes"]) == ["clean", *CHANGES]
    assert found["photos"]["images"]["accuracy"] > found["photos"]["images_full"]["accuracy"]
    assert found["photos"]["images"]["faces"] == 30
    text = (out / "robustness.md").read_text()
    assert text in capsys.readouterr().out
    for name in CHANGES:
        assert f"| {name} | " in text
    assert "YuNet's box, widened to 1.15 | probabilities |" in text
    pictures = ("robustness", "changes", "mistakes", "photos-images", "photos-images_full")
    for name in pictures:
        image = cv2.imread(str(out / f"{name}.png"))
        assert min(image.shape[:2]) > 150, name
        assert image.std() > 10, name


@pytest.mark.parametrize("content", [None, b"", b"not an archive", "wrong"])
def test_photos_that_cannot_be_read_are_rejected(trained_run, faces_csv, tmp_path, capsys, content):
    photos = tmp_path / "photos.npz"
    if content == "wrong":
        np.savez(photos, images=np.zeros((3, 9, 9), np.uint8), images_full=0, labels=np.zeros(3))
    elif content is not None:
        photos.write_bytes(content)
    assert main([str(w) for w in (trained_run, "--data", faces_csv, "--photos", photos)]) == 3
    assert str(photos) in capsys.readouterr().err


def test_the_photos_of_the_development_set(shared):
    photos = robustness.read_photos(shared / "data" / "wild" / "lfw_expressions_dev.npz")
    assert photos["images"].shape == photos["images_full"].shape == (774, 48, 48, 1)
    assert photos["images"].max() <= 1
    assert set(photos["labels"].tolist()) <= set(range(7))
