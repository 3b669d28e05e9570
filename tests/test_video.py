"""``python -m fastfer.video``."""

from __future__ import annotations

import json
from pathlib import Path

from fastfer.cli.video import main
from fastfer.video import main as door
from tests.helpers.clips import moving_face, write_video
from tests.helpers.commands import python


def test_it_is_the_command(tmp_path: Path) -> None:
    assert door is main
    clip = write_video(tmp_path / "clip.mp4", moving_face(4))
    done = python("-m", "fastfer.video", clip, "--jsonl", "-")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["frame_index"] for row in rows] == [0, 1, 2, 3]


def test_errors_name_the_module_and_set_the_exit_code(tmp_path: Path) -> None:
    done = python("-m", "fastfer.video")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("python -m fastfer.video: ")
    assert python("-m", "fastfer.video", tmp_path / "absent.mp4").returncode == 3
