"""Faces that stand in training and validation, framed a little otherwise."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tests.helpers.drawn_faces import csv_text, draw_faces

pytest.importorskip("keras")

import tests.helpers.tiny_network  # noqa: F401  (adds the architecture "tiny")
from training.expression.near_duplicates import main, nearest
from training.expression.train import main as train


def framed(face, dx=0, dy=0, scale=1.0, mirror=False, gain=1.0, offset=0.0):
    """The face as another search may have cut it out."""
    matrix = cv2.getRotationMatrix2D((23.5, 23.5), 0, scale)
    matrix[:, 2] += dx, dy
    moved = cv2.warpAffine(face, matrix, (48, 48), borderMode=cv2.BORDER_REPLICATE)
    moved = moved[:, ::-1] if mirror else moved
    return np.clip(moved * gain + offset, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    """Pictures that are all different."""
    rng = np.random.default_rng(3)
    coarse = rng.integers(20, 235, (40, 7, 7)).astype(np.uint8)
    return np.stack([cv2.resize(c, (48, 48), interpolation=cv2.INTER_CUBIC) for c in coarse])


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"mirror": True},
        {"dx": 2, "dy": -2},
        {"scale": 1.09},
        {"gain": 0.6, "offset": 40},
        {"dx": -2, "scale": 0.92, "mirror": True, "gain": 0.8},
    ],
)
def test_a_face_is_found_again(noise, changed):
    chosen = np.random.default_rng(5).permutation(len(noise))[:12]
    similarity, index = nearest(np.stack([framed(noise[i], **changed) for i in chosen]), noise)
    np.testing.assert_array_equal(index, chosen)
    assert similarity.min() > 0.95
    assert similarity.max() <= 1 + 1e-5


def test_other_faces_are_less_alike(noise):
    similarity, _ = nearest(noise[:10], noise[10:])
    assert similarity.max() < 0.9


def test_a_face_of_one_gray_is_like_nothing(noise):
    similarity, index = nearest(np.full((1, 48, 48), 128, np.uint8), noise)
    assert similarity[0] == 0
    assert 0 <= index[0] < len(noise)


def test_the_table(tmp_path, capsys):
    faces, labels = draw_faces(56, seed=1)
    others, other_labels = draw_faces(14, seed=2)
    # The first seven of PublicTest are training's, mirrored.
    others[:7] = faces[:7, :, ::-1]
    other_labels[:7] = labels[:7]
    data = tmp_path / "fer2013.csv"
    data.write_text(csv_text({"Training": (faces, labels), "PublicTest": (others, other_labels)}))
    run = tmp_path / "run"
    words = ["--arch", "tiny", "--precision", "float32", "--epochs", "1"]
    assert train(["--data", str(data), "--out", str(run), *words]) == 0
    capsys.readouterr()
    assert main([str(run), "--data", str(data)]) == 0
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert str(run) in head
    counts = {row.split(" | ")[0].strip("| "): int(row.split(" | ")[1]) for row in rows}
    assert list(counts) == ["0.98 and more", "0.95 to 0.98", "0.9 to 0.95", "under 0.9", "all"]
    assert counts["0.98 and more"] >= 7
    assert counts["all"] == len(others) == sum(counts.values()) - counts["all"]
    assert main([str(tmp_path / "none.onnx"), "--data", str(data)]) == 3
    assert main([str(run), "--data", str(tmp_path / "none.csv")]) == 3
