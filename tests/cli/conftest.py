"""Photos, clips, a random network, and commands that run within the process of the tests."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.clips import empty_scene, moving_face, write_video
from tests.helpers.commands import Run
from tests.helpers.onnx_models import write_model
from tests.helpers.pictures import astronaut, encode, png_of_size

Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The option that chooses a random network."""
    path = write_model(tmp_path_factory.mktemp("models") / "random.onnx")
    return f"--model={path}"


@pytest.fixture(scope="session")
def face() -> bytes:
    """A JPEG with one face."""
    return encode(Image.fromarray(astronaut()[:, :, ::-1].copy()), "JPEG", quality=90)


@pytest.fixture
def album(tmp_path: Path, face: bytes) -> Path:
    """Two photos of a face, one without, four that cannot be read, and a text file."""
    folder = tmp_path / "album"
    (folder / "deep").mkdir(parents=True)
    (folder / "ảnh.jpg").write_bytes(face)
    (folder / "deep" / "写真.jpg").write_bytes(face)
    (folder / "blank.png").write_bytes(encode(Image.new("RGB", (64, 48)), "PNG"))
    (folder / "cut.jpg").write_bytes(face[: len(face) // 2])
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("not a photo")
    (folder / "huge.png").write_bytes(png_of_size(30_000, 30_000))
    (folder / "notes.txt").write_text("not named like a picture")
    return folder


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 frames at 12.5 per second, five of them without a face."""
    frames = moving_face(25) + empty_scene(5) + moving_face(10)
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", frames)


@pytest.fixture
def display() -> Iterator[str]:
    """A virtual screen, as the value of DISPLAY."""
    reader, writer = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writer), "-screen", "0", "1000x800x24"],
        pass_fds=[writer],
        stderr=subprocess.DEVNULL,
    )
    os.close(writer)
    with os.fdopen(reader) as numbers:
        yield f":{numbers.readline().strip()}"
    server.terminate()
    server.wait()


@pytest.fixture
def run_image(run_fastfer: Run, model: str) -> Run:
    """``fastfer image`` with the random network, within the process of the tests."""
    return lambda *args: run_fastfer("image", *args, model)


@pytest.fixture
def run_video(run_fastfer: Run, model: str) -> Run:
    """``fastfer video`` with the random network, within the process of the tests."""
    return lambda *args: run_fastfer("video", *args, model)


@pytest.fixture
def run_batch(run_fastfer: Run, model: str) -> Run:
    """``fastfer batch`` with the random network, within this process and without workers."""
    return lambda *args: run_fastfer("batch", *args, model, "--jobs=0")
