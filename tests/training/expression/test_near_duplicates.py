"""Near-duplicates: validation faces that are training faces with another crop."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tests.helpers.drawn_faces import csv_text, draw_faces
from training.expression.near_duplicates import main, nearest


def recropped(face, dx=0, dy=0, scale=1.0, mirror=False, gain=1.0, offset=0.0):
    """The face with another crop."""
    matrix = cv2.getRotationMatrix2D((23.5, 23.5), 0, scale)
    matrix[:, 2] += dx, dy
    moved = cv2.warpAffine(face, matrix, (48, 48), borderMode=cv2.BORDER_REPLICATE)
    moved = moved[:, ::-1] if mirror else moved
    return np.clip(moved * gain + offset, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    """Pictures without similarity."""
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
    similarity, index = nearest(np.stack([recropped(noise[i], **changed) for i in chosen]), noise)
    np.testing.assert_array_equal(index, chosen)
    assert similarity.min() > 0.95
    assert similarity.max() <= 1 + 1e-5


def test_other_faces_are_less_similar(noise):
    similarity, _ = nearest(noise[:10], noise[10:])
    assert similarity.max() < 0.9


def test_a_face_of_one_gray_has_similarity_zero(noise):
    similarity, index = nearest(np.full((1, 48, 48), 128, np.uint8), noise)
    assert similarity[0] == 0
    assert 0 <= index[0] < len(noise)


def test_the_table(tmp_path, trained_run, capsys):
    faces, labels = draw_faces(56, seed=1)
    others, other_labels = draw_faces(14, seed=2)
    # The first seven of PublicTest are mirrored training faces.
    others[:7] = faces[:7, :, ::-1]
    other_labels[:7] = labels[:7]
    data = tmp_path / "fer2013.csv"
    data.write_text(csv_text({"Training": (faces, labels), "PublicTest": (others, other_labels)}))
    assert main([str(trained_run), "--data", str(data), "--tta", "flip"]) == 0
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert str(trained_run) in head
    counts = {row.split(" | ")[0].strip("| "): int(row.split(" | ")[1]) for row in rows}
    assert list(counts) == ["0.98 and above", "0.95 to 0.98", "0.9 to 0.95", "below 0.9", "all"]
    assert counts["0.98 and above"] >= 7
    assert counts["all"] == len(others) == sum(counts.values()) - counts["all"]
    assert main([str(tmp_path / "none.onnx"), "--data", str(data)]) == 3
    assert main([str(trained_run), "--data", str(tmp_path / "none.csv")]) == 3
