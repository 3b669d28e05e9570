"""Unlabelled faces beside labelled ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fastfer.errors import InputError
from tests.helpers.errors import raises
from training.expression.augment import Augmentation
from training.expression.batches import FaceBatches, OnlineDistillation
from training.expression.face_sources import ArraySource
from training.expression.unlabelled import Joined, joined_targets, read_unlabelled

SHARE = 0.9


def source(count: int, value: int) -> ArraySource:
    pixels = np.full((count, 48, 48), value, np.uint8)
    return ArraySource(pixels, np.zeros(count, np.int64), None, np.arange(count), Path("a.csv"))


def write(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, **arrays)
    return path


def test_faces_that_were_not_found_are_left_out(tmp_path: Path) -> None:
    pixels = np.arange(3, dtype=np.uint8)[:, None, None] * np.ones((48, 48), np.uint8)
    found = np.array([True, False, True])
    faces = read_unlabelled(write(tmp_path / "a.npz", pixels=pixels, found=found))
    assert [int(face[0, 0]) for face in faces.images] == [0, 2]
    assert len(read_unlabelled(write(tmp_path / "b.npz", pixels=pixels))) == 3


@pytest.mark.parametrize("shape", [(0, 48, 48), (2, 40, 48), (2, 48)])
def test_other_arrays_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = write(tmp_path / "a.npz", pixels=np.zeros(shape, np.uint8))
    with raises(InputError, "unreadable_input", "a.npz"):
        read_unlabelled(path)
    with raises(InputError, "unreadable_input", "none.npz"):
        read_unlabelled(tmp_path / "none.npz")


def test_two_sources_load_as_one() -> None:
    joined = Joined(source(2, 10), source(3, 20))
    assert len(joined) == 5
    assert joined.load(np.array([4, 0, 2]))[:, 0, 0].tolist() == [20, 10, 20]
    assert joined.where(1) == "a.csv:1"
    assert joined.where(4) == "a.csv:2"


@pytest.mark.parametrize("online", [True, False])
def test_unlabelled_faces_have_the_answers_of_the_teachers_alone(online: bool) -> None:
    """However large the share of online distillation is, their targets sum to 1."""
    labelled = {"fer2013": np.eye(7, dtype=np.float32)[[0, 1]]}
    taught = {"fer2013": np.eye(7, dtype=np.float32)[[6, 5, 4]]}
    targets = joined_targets(labelled, taught, SHARE if online else 0.0)
    weights = np.array([[1], [1], [0], [0], [0]], np.float32)

    def predict(faces: np.ndarray) -> dict[str, np.ndarray]:
        assert len(faces) == 2, "only labelled faces are asked about"
        return {"fer2013": np.eye(7, dtype=np.float32)[[2] * len(faces)]}

    batches = FaceBatches(
        Joined(source(2, 10), source(3, 20)), targets, 5, Augmentation.none(),
        distillation=OnlineDistillation(predict, SHARE, weights) if online else None,
    )  # fmt: skip
    faces, rows = batches[0]
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-5)
    own = faces[:, 0, 0, 0] < 15 / 255
    assert set(rows[~own].argmax(axis=1)) == {4, 5, 6}
    if online:
        np.testing.assert_allclose(rows[own, 2], SHARE, atol=1e-6)
