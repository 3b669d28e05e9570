"""Directories and numbered patterns of pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from fastfer.errors import InputError
from fastfer.io.open_source import CameraOptions, open_source
from tests.helpers.clips import moving_face
from tests.helpers.errors import raises


def test_a_numbered_pattern_keeps_its_gaps(tmp_path: Path) -> None:
    for number in (9, 10, 12):
        cv2.imwrite(str(tmp_path / f"shot{number}.png"), np.full((8, 8, 3), number, np.uint8))
    (tmp_path / "shot.png").touch()
    source = open_source(tmp_path / "shot%d.png", CameraOptions(fps=10))
    frames = list(source)
    assert [f.index for f in frames] == [0, 1, 3]
    assert [f.pts for f in frames] == pytest.approx([0, 0.1, 0.3])
    assert [f.image[0, 0, 0] for f in frames] == [9, 10, 12]


def test_padded_numbers_need_their_digits(tmp_path: Path) -> None:
    for name in ("f_0001.png", "f_2.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((8, 8, 3), np.uint8))
    assert open_source(tmp_path / "f_%04d.png").count == 1


def test_two_pictures_of_one_number_are_refused(tmp_path: Path) -> None:
    for name in ("f_1.png", "f_2.png", "f_02.png"):
        cv2.imwrite(str(tmp_path / name), moving_face(1)[0])
    with raises(InputError, "unreadable_input", "f_02.png", "f_2.png"):
        open_source(tmp_path / "f_%d.png")


def test_a_directory_whose_name_is_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "run%d").mkdir()
    cv2.imwrite(str(tmp_path / "run%d" / "a.png"), np.zeros((8, 8, 3), np.uint8))
    assert open_source(tmp_path / "run%d").count == 1


def test_a_directory_is_in_natural_order(tmp_path: Path) -> None:
    for number in (1, 2, 10, 11):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((8, 8, 3), number, np.uint8))
    (tmp_path / "3.heic").touch()
    source = open_source(tmp_path)
    assert [f.image[0, 0, 0] for f in source] == [1, 2, 10, 11]
    assert "3.heic" in source.notes[0]


def test_a_directory_is_a_sequence_by_name(tmp_path: Path) -> None:
    for name in ("b.png", "a.png"):
        cv2.imwrite(str(tmp_path / name), np.full((8, 8, 3), ord(name[0]), np.uint8))
    assert [f.image[0, 0, 0] for f in open_source(tmp_path)] == [ord("a"), ord("b")]


def test_an_unreadable_picture_does_not_end_the_sequence(tmp_path: Path) -> None:
    for name in ("1.png", "3.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "2.png").write_text("no picture")
    with raises(InputError, "decode_failed", "1 of 3", "2.png"):
        list(open_source(tmp_path / "%d.png"))
    source = iter(open_source(tmp_path / "%d.png"))
    assert [next(source).index, next(source).index] == [0, 2]
