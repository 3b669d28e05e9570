"""A detector from outside the package, in one file."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from fastfer.batch.photos import PhotoAnalyzer
from fastfer.detectors import available_detectors, create_detector
from fastfer.engine import Engine
from fastfer.errors import InputError, UsageError
from fastfer.io.encoded_image import EncodedImage
from fastfer.results import FrameResult
from tests.helpers.commands import Run
from tests.helpers.errors import raises
from tests.helpers.pictures import astronaut

BRIGHTEST = '''
"""Finds the brightest square of a frame."""
import cv2
import numpy as np

from fastfer.detectors import CropCalibration, Detections, register_detector


class Brightest:
    name = "brightest"
    crop_calibration = CropCalibration(width=1.5, height=1.5)

    def __init__(self, *, side: int = 64):
        self.side = side

    def detect(self, frame):
        gray = frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
        mean = cv2.boxFilter(gray, -1, (self.side, self.side), anchor=(0, 0))
        _, brightest, _, (x, y) = cv2.minMaxLoc(mean)
        box = [x, y, self.side, self.side]
        return Detections(np.array([box], np.float32), np.array([brightest / 255], np.float32))


register_detector("brightest", Brightest, help="the brightest square", main_option="side")
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "brightest.py"
    path.write_text(BRIGHTEST, encoding="utf-8")
    return path


def test_create_detector(file: Path) -> None:
    detector = create_detector(f"{file}:side=32")
    assert detector.detect(astronaut()).boxes[0, 2:].tolist() == [32, 32]
    assert available_detectors()["brightest"] == "the brightest square"
    assert create_detector("brightest:48").detect(astronaut()).boxes[0, 2] == 48


def test_engine(file: Path) -> None:
    (face,) = Engine(f"{file}:side=96").analyze(astronaut()).faces
    assert face.box[2:] == (96, 96)
    assert face.emotion is not None


def test_command(file: Path, tmp_path: Path, run_fastfer: Run) -> None:
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), astronaut())
    done = run_fastfer("image", photo, "--json", "--detector", f"{file}:side=96")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["detector"] == "brightest"
    assert [face["box"][2:] for face in result["faces"]] == [[96, 96]]


def test_only_an_edited_file_is_executed_again(file: Path) -> None:
    first = create_detector(str(file))
    assert type(create_detector(str(file))) is type(first)
    file.write_text(BRIGHTEST.replace("side: int = 64", "side: int = 80"), encoding="utf-8")
    assert create_detector(str(file)).detect(astronaut()).boxes[0, 2] == 80


@pytest.mark.parametrize(
    "text",
    [
        "",
        "import no_such_module",
        "1 / 0",
        BRIGHTEST + "register_detector('second', Brightest)",
        BRIGHTEST.replace('name = "brightest"', ""),
    ],
)
def test_files_without_a_detector(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text, encoding="utf-8")
    with raises(UsageError, "not_a_detector", "mine.py"):
        create_detector(str(path))


def test_options_that_the_detector_lacks(file: Path) -> None:
    with raises(UsageError, "unknown_option", "detect_size", "side"):
        create_detector(str(file), detect_size=320)
    with raises(UsageError, "unknown_option", "min_face"):
        create_detector(str(file), min_face=20)
    with raises(UsageError, "not_found", "none.py"):
        create_detector(str(file.with_name("none.py")))


def test_an_error_names_the_line_of_the_detector(
    file: Path, tmp_path: Path, run_fastfer: Run
) -> None:
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), astronaut())
    broken = BRIGHTEST.replace("np.array([box], np.float32), ", "")
    file.write_text(broken, encoding="utf-8")
    line = 1 + broken[: broken.index("return Detections")].count("\n")
    place = f"{file}, line {line}: TypeError: "
    result = run_fastfer("image", photo, "--detector", file)
    assert result.returncode == 3
    assert place in result.stdout + result.stderr
    analyzer = PhotoAnalyzer(Engine(str(file), threads=1))
    (error,) = analyzer.analyze([analyzer.decode(EncodedImage(photo.read_bytes()))])
    assert isinstance(error, InputError)
    assert error.code == "failed"
    assert place in str(error)


@pytest.mark.parametrize("returned", ["None", "Detections(np.zeros(4), np.zeros(1))"])
def test_one_photo_whose_detections_cannot_be_used_does_not_end_the_others(
    file: Path, tmp_path: Path, run_fastfer: Run, returned: str
) -> None:
    for name, image in (("a.png", astronaut()[:400]), ("b.png", astronaut())):
        cv2.imwrite(str(tmp_path / name), image)
    early = f"        if len(frame) == 400:\n            return {returned}\n"
    broken = BRIGHTEST.replace("        gray =", f"{early}        gray =")
    file.write_text(broken, encoding="utf-8")
    photos = [tmp_path / "a.png", tmp_path / "b.png"]
    done = run_fastfer("image", *photos, "--jsonl", "-", "--detector", file)
    assert done.returncode == 3
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["error_code"] for row in rows] == ["failed", None]
    analyzer = PhotoAnalyzer(Engine(str(file), threads=1))
    decoded = [analyzer.decode(EncodedImage(photo.read_bytes())) for photo in photos]
    error, result = analyzer.analyze(decoded)
    assert isinstance(error, InputError)
    assert isinstance(result, FrameResult)
