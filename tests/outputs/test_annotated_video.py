"""Annotated copies of videos."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fastfer.errors import OutputError, UsageError
from fastfer.outputs.annotated_video import MAX_GAP, AnnotatedVideoWriter
from tests.helpers.clips import empty_scene, moving_face
from tests.helpers.results import frame


def test_frames_keep_their_times(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    writer = AnnotatedVideoWriter(path, 10)
    images = [*moving_face(4, side=97), *empty_scene(1, side=64)]
    for image, pts in zip(images, (0.0, 0.1, 0.5, 0.6, 0.7), strict=True):
        writer.write(replace(frame(0), pts=pts), image)
    writer.close()
    capture: Any = cv2.VideoCapture(str(path))
    count = 0
    while capture.read()[0]:
        count += 1
    assert (count, capture.get(cv2.CAP_PROP_FRAME_WIDTH)) == (8, 96)


def frame_levels(path: Path) -> list[int]:
    """The rounded gray level of each frame of a video of gray frames."""
    capture: Any = cv2.VideoCapture(str(path))
    levels = []
    while (found := capture.read())[0]:
        levels.append(round(float(found[1].mean()) / 50))
    return levels


@pytest.mark.parametrize("gap", [12.0, 3600.0, 1e9])
def test_a_gap_repeats_only_the_picture_before_it(tmp_path: Path, gap: float) -> None:
    path = tmp_path / "out.avi"
    writer = AnnotatedVideoWriter(path, 10)
    for i in range(5):
        pts = i / 10 + gap * (i >= 2)
        writer.write(replace(frame(0), pts=pts), np.full((64, 64, 3), 50 * i, np.uint8))
    writer.close()
    assert frame_levels(path) == [0, *[1] * round(MAX_GAP * 10), 2, 3, 4]


def test_results_without_an_image_are_skipped(tmp_path: Path) -> None:
    writer = AnnotatedVideoWriter(tmp_path / "out.mp4", 10)
    writer.write(frame(0))
    writer.close()
    assert not (tmp_path / "out.mp4").exists()


def test_an_unknown_suffix(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"out\.txt") as caught:
        AnnotatedVideoWriter(tmp_path / "out.txt", 10)
    assert caught.value.code == "unsupported_format"


def test_a_missing_folder(tmp_path: Path) -> None:
    writer = AnnotatedVideoWriter(tmp_path / "no" / "out.mp4", 10)
    with pytest.raises(OutputError, match=r"out\.mp4") as caught:
        writer.write(frame(0), np.zeros((64, 64, 3), np.uint8))
    assert caught.value.code == "output_failed"
