"""``python -m fastfer.image``."""

from __future__ import annotations

import json
from pathlib import Path

import cv2

from fastfer.cli.image import main
from fastfer.image import main as door
from tests.helpers.commands import image
from tests.helpers.pictures import astronaut


def test_it_is_the_command(tmp_path: Path) -> None:
    assert door is main
    photo = tmp_path / "face.png"
    cv2.imwrite(str(photo), astronaut())
    done = image(photo, "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["faces"]) == 1


def test_errors_name_the_module_and_set_the_exit_code(tmp_path: Path) -> None:
    done = image("--bogus")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("python -m fastfer.image: ")
    assert image(tmp_path / "absent.jpg").returncode == 3
