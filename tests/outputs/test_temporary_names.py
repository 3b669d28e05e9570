"""Temporary files of killed processes, and of no others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fastfer.outputs.annotated_images import AnnotatedImageWriter
from fastfer.outputs.annotated_video import AnnotatedVideoWriter
from fastfer.outputs.temporary_names import remove_abandoned, temporary_name
from tests.helpers.movies import levels
from tests.helpers.results import frame

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux names its boot")


def ended() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def of(process: int) -> str:
    """The name of a temporary file of ``process``."""
    parts = temporary_name(".mp4").split("-")
    return "-".join([*parts[:2], str(process), *parts[3:]])


def test_files_of_processes_that_have_ended_go(tmp_path: Path) -> None:
    (tmp_path / of(ended())).touch()
    (tmp_path / "video.mp4").touch()
    remove_abandoned(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["video.mp4"]


def test_all_others_stay(tmp_path: Path) -> None:
    name, gone = temporary_name(".mp4"), of(ended())
    system = name.split("-")[1]
    stay = {
        name,
        of(1),  # Perhaps of another user.
        gone.replace(system, "0123456789abcdef"),  # Of another computer or container.
        gone.replace(system, "0" * 16),  # Of a system that is not known.
        gone.replace(".mp4", ".mp4.bak"),
        gone.replace("-", "-x", 1),
        ".fastfer-1-of-4",
        of(10**30),
    }
    for each in stay:
        (tmp_path / each).touch()
    folder = of(ended())
    (tmp_path / folder).mkdir()
    link = of(ended())
    (tmp_path / link).symlink_to(tmp_path / name)
    remove_abandoned(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == stay | {folder, link}


def test_a_copy_removes_those_beside_it(tmp_path: Path) -> None:
    (tmp_path / of(ended())).touch()
    writer = AnnotatedVideoWriter(tmp_path / "copy.mp4", 10)
    for i, image in enumerate(levels(2)):
        writer.write(frame(i), image)
    writer.close()
    assert [path.name for path in tmp_path.iterdir()] == ["copy.mp4"]


def test_a_folder_of_pictures_loses_them(tmp_path: Path) -> None:
    (tmp_path / of(ended())).touch()
    AnnotatedImageWriter(tmp_path, [])
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    remove_abandoned(tmp_path / "missing")
