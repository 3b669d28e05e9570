"""Every command and Python sample of README and docs runs, and so do the examples."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from tests.docs.samples import (
    ROOT,
    Sample,
    command_lines,
    documents,
    inline_commands,
    run_command,
    run_python,
    run_script,
    samples,
    untimed,
)
from tests.helpers.clips import moving_face, portrait, write_video
from tests.helpers.onnx_models import write_model
from tests.helpers.servers import run_server

SAMPLES = [sample for file in documents() for sample in samples(file)]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the samples use."""
    folder = tmp_path_factory.mktemp("template")
    cv2.imwrite(str(folder / "photo.jpg"), portrait())
    (folder / "photos" / "holiday").mkdir(parents=True)
    for name, size in {"a.jpg": 512, "b.jpg": 300, "holiday/c.jpg": 400}.items():
        cv2.imwrite(str(folder / "photos" / name), cv2.resize(portrait(), (size, size)))
    write_video(folder / "clip.mp4", moving_face(24))
    (folder / "clips").mkdir()
    for name in ("a.mp4", "b.mp4", "clips/c.mp4"):
        write_video(folder / name, moving_face(5))
    write_model(folder / "my_model.onnx")
    write_model(folder / "unlabelled.onnx", metadata={})
    for sample in SAMPLES:
        if sample.title is not None:
            (folder / sample.title).write_text(sample.code, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def folders(template: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Path]:
    """One copy of the template for each document, in which its samples run in order."""
    copies = {file: tmp_path_factory.mktemp("page") / "work" for file in documents()}
    for folder in copies.values():
        shutil.copytree(template, folder)
    return copies


@pytest.fixture(autouse=True)
def no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV's windows do nothing; every key is q."""
    monkeypatch.setattr(cv2, "imshow", lambda *_: None)
    monkeypatch.setattr(cv2, "waitKey", lambda *_: ord("q"))
    monkeypatch.setattr(cv2, "destroyAllWindows", lambda: None)


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """The address of a running server."""
    pytest.importorskip("fastapi", reason="needs the extra serve")
    with run_server() as server:
        yield server.url


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_sample(
    sample: Sample,
    folders: dict[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    if sample.mark == "skip":
        pytest.skip(str(sample.reason))
    code = sample.code
    if code.startswith("curl "):
        monkeypatch.setenv("FASTFER_URL", request.getfixturevalue("server_url"))
    if "ws://127.0.0.1:8000" in code:
        url = request.getfixturevalue("server_url")
        code = code.replace("ws://127.0.0.1:8000", url.replace("http", "ws"))
        code = code.replace("VideoCapture(0)", 'VideoCapture("clip.mp4")')
    folder = folders[sample.file]
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("FASTFER_HOME", str(folder / "store"))
    capfd.readouterr()
    if sample.language == "python":
        run_python(code, str(sample))
    elif sample.language == "bash":  # Others are files, which commands of the page read.
        for words in command_lines(sample.code):
            run_command(words, monkeypatch, parse_only=sample.mark == "options")
    if sample.output is not None:
        assert untimed(capfd.readouterr().out) == untimed(sample.output)
    sys.modules.pop("my_detector", None)


@pytest.mark.parametrize(
    "command", sorted({command for file in documents() for command in inline_commands(file)})
)
def test_inline_command(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for words in command_lines(command.removesuffix(" --help")):
        run_command(words, monkeypatch)


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
        monkeypatch.setenv("FASTFER_URL", request.getfixturevalue("server_url"))
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
