"""The Hugging Face Space: run as it is there, and asked as its page asks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import cv2
import pytest

from tests.helpers.commands import environment
from tests.helpers.pictures import astronaut
from tests.helpers.ports import free_port
from tests.helpers.waiting import wait_until

gradio_client = pytest.importorskip("gradio_client")
SPACE = Path(__file__).resolve().parents[2] / "deploy" / "space"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of the running Space."""
    port = free_port()
    folder = tmp_path_factory.mktemp("space")
    settings = {
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_TEMP_DIR": str(folder),
        "GRADIO_ANALYTICS_ENABLED": "False",
    }
    process = subprocess.Popen(
        [sys.executable, str(SPACE / "app.py")], env=environment(**settings), cwd=folder,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}/"

    def answers() -> bool:
        assert process.poll() is None
        try:
            with urlopen(address) as answer:
                return bool(answer.status == 200)
        except URLError:
            return False

    try:
        wait_until(answers)
        yield gradio_client.Client(address, verbose=False, download_files=str(folder))
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def photo(tmp_path: Path) -> Any:
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), astronaut())
    return gradio_client.handle_file(str(path))


def test_a_photo(client: Any, photo: Any) -> None:
    said = {}
    pictures = set()
    for hide in ("nothing", "faces"):
        drawn, table, bars = client.predict(
            photo, "FER+ votes (default)", hide, "English", api_name="/analyze"
        )
        (row,) = table["data"]
        assert row[0] == 1
        assert bars["label"] == row[1]
        assert len(bars["confidences"]) == 7
        said[hide] = row
        picture: Any = cv2.imread(drawn)
        assert picture.shape == astronaut().shape
        pictures.add(picture.tobytes())
    assert said["nothing"] == said["faces"]
    assert len(pictures) == 2


def test_without_a_photo(client: Any) -> None:
    drawn, table, _ = client.predict(
        None, "FER-2013 labels", "eyes", "Tiếng Việt", api_name="/analyze"
    )
    assert drawn is None
    assert table["data"] == []


def test_two_heads(client: Any, photo: Any) -> None:
    sides = client.predict(photo, api_name="/compare")
    for side in sides:
        picture: Any = cv2.imread(side)
        assert picture.shape == astronaut().shape


def test_requirements_name_this_version() -> None:
    import fastfer

    assert f"fastfer-{fastfer.__version__}-" in (SPACE / "requirements.txt").read_text()
