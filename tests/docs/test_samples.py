"""Every command and Python sample of README and docs runs, and so do the examples."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import pytest

from fastfer.classifiers.native import INT8_MODEL
from tests.docs.commands import run_command, run_python, run_script
from tests.docs.samples import (
    ROOT,
    Sample,
    command_lines,
    documents,
    inline_commands,
    samples,
    translated_commands,
    untimed,
)
from tests.helpers.markers import HAS_HAAR

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept:DeprecationWarning:keras"
)
SAMPLES = {file: list(samples(file)) for file in documents()}

REPLACED = {
    "--camera 0": "clip.mp4",
    "VideoCapture(0)": 'VideoCapture("clip.mp4")',
    "fastfer.stream(0,": 'fastfer.stream("clip.mp4",',
    "fastfer/models/expression.onnx": INT8_MODEL.as_posix(),
    "training/detector/centerface.py": (ROOT / "training/detector/centerface.py").as_posix(),
    " yunet ": " yunet.onnx ",
    " yunet:": " yunet.onnx:",
    " haar ": " haar " if HAS_HAAR else " ",
}
"""Cameras, paths and networks of the repository's folder, and what takes their place."""

PREPARED = {
    "localhost:8000": "address",
    "127.0.0.1:8000": "address",
    "rtsp://user:password@camera.local/stream": "rtsp_url",
    "fastfer watch cameras.toml\n": "local_cameras",
    "s3://bucket/photos/": "bucket",
    "fastfer models": "downloads",
    "archive.zip": "fer2013",
    "model.h5": "keras_file",
    "--data faces/": "detector_data",
    "--data facedet2": "detector_data",
    "docs/demo": "checkout",
}
"""What needs a fixture, and its name; the fixture's value, if it has one, takes its place."""


class Page:
    """A document, whose samples run in order in one folder."""

    def __init__(self, folder: Path, contents: Sequence[Sample]) -> None:
        self.folder = folder
        self._left = list(contents)

    def due(self, sample: Sample) -> list[Sample]:
        """``sample`` and those before it that did not run yet; several if it is chosen alone, or if
        processes share the page."""
        due = self._left[: self._left.index(sample) + 1] if sample in self._left else []
        del self._left[: len(due)]
        return due


@pytest.fixture(scope="module")
def pages(template: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Page]:
    """A copy of the template for each document."""
    result = {}
    for file, contents in SAMPLES.items():
        folder = tmp_path_factory.mktemp("page") / "work"
        shutil.copytree(template, folder)
        for sample in contents:
            if sample.title is not None:
                (folder / sample.title).write_text(sample.code, encoding="utf-8")
        result[file] = Page(folder, contents)
    return result


@pytest.fixture(autouse=True)
def no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV's windows do nothing; every key is q."""
    monkeypatch.setattr(cv2, "imshow", lambda *_: None)
    monkeypatch.setattr(cv2, "waitKey", lambda *_: ord("q"))
    monkeypatch.setattr(cv2, "destroyAllWindows", lambda: None)


@pytest.fixture
def run(
    pages: dict[Path, Page],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> Callable[[Sample], None]:
    """Runs a sample in the folder of its page."""

    def run_sample(sample: Sample) -> None:
        if sample.mark == "skip":
            pytest.skip(str(sample.reason))
        folder = pages[sample.file].folder
        monkeypatch.chdir(folder)
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.setenv("FASTFER_HOME", str(folder / "store"))
        code = sample.code
        for text, other in REPLACED.items():
            code = code.replace(text, other)
        for text, fixture in PREPARED.items():
            if text in code and sample.mark is None:
                code = code.replace(text, request.getfixturevalue(fixture) or text)
        capfd.readouterr()
        if sample.language == "python":
            run_python(code, str(sample))
        elif sample.language == "bash":  # Others are files, which commands of the page read.
            # Training is slow: translated commands are not run again.
            again = translated_commands(sample.file)
            for words in command_lines(code):
                slow = words[:2] == ["python", "-m"] and words[2].startswith("training.")
                parse_only = sample.mark == "options" or (slow and words in again)
                run_command(words, monkeypatch, parse_only=parse_only)
        if sample.output is not None:
            assert untimed(capfd.readouterr().out) == untimed(sample.output)
        sys.modules.pop("my_detector", None)

    return run_sample


@pytest.mark.parametrize(
    "sample", [sample for contents in SAMPLES.values() for sample in contents], ids=str
)
def test_sample(sample: Sample, pages: dict[Path, Page], run: Callable[[Sample], None]) -> None:
    for due in pages[sample.file].due(sample):
        try:
            run(due)
        except pytest.skip.Exception:
            if due is sample:
                raise


@pytest.mark.parametrize(
    "command", sorted({command for file in documents() for command in inline_commands(file)})
)
def test_inline_command(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for words in command_lines(command.removesuffix(" --help")):
        run_command(words, monkeypatch, parse_only=True)


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("photo.py", ["photo.jpg", "annotated.jpg"]),
        ("folder_to_pandas.py", ["photos"]),
        ("webcam.py", ["clip.mp4"]),
        ("own_detector.py", ["photo.jpg"]),
        ("own_network.py", ["unlabelled.onnx", "photo.jpg"]),
        ("ray_photos.py", ["photos", "faces"]),
        ("spark_photos.py", ["photos", "faces"]),
        ("dask_photos.py", ["photos", "faces"]),
        ("client.py", ["photo.jpg"]),
    ],
)
def test_example(
    script: str,
    arguments: list[str],
    template: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    if script == "client.py":
        monkeypatch.setenv("FASTFER_URL", f"http://{request.getfixturevalue('address')}")
    engine = {"ray_photos.py": "ray", "spark_photos.py": "pyspark", "dask_photos.py": "distributed"}
    if script in engine:
        pytest.importorskip(engine[script], reason="needs the extra cluster")
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    run_script(ROOT / "examples" / script, arguments, monkeypatch)
    assert capsys.readouterr().out or script == "webcam.py"


def test_each_example_is_run() -> None:
    names = {path.name for path in (ROOT / "examples").iterdir() if path.suffix == ".py"}
    (mark,) = test_example.pytestmark
    assert names == {script for script, _ in mark.args[1]}
