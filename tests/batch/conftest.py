"""Photos, archives and a detector that misbehaves on demand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fastfer.labels import ATTRIBUTES
from tests.helpers.batch_jobs import photo
from tests.helpers.clips import moving_face, write_video
from tests.helpers.onnx_models import write_model

DETECTOR = '''
import os, signal, threading
import numpy as np
import fastfer

class Moody:
    """One face in each photo; what else happens depends on the photo's width."""
    name = "moody"
    crop_calibration = fastfer.CropCalibration()
    def __init__(self, **_):
        pass
    def detect(self, frame):
        width = frame.shape[1]
        if width == 101:
            os.abort()
        if width == 102:
            os.kill(os.getpid(), signal.SIGKILL)
        if width == 103:
            threading.Event().wait()  # never set
        if width == 104:
            raise RuntimeError("a fault of the detector")
        if frame.shape[0] == 152:
            raise RuntimeError("a fault in a video")
        box = np.array([[4, 4, 40, 40]], np.float32)
        return fastfer.Detections(box, np.ones(1, np.float32))

fastfer.register_detector("moody", Moody, help="misbehaves on demand")
'''


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A random network and the detector that misbehaves on demand."""
    folder = tmp_path_factory.mktemp("engine")
    (folder / "moody.py").write_text(DETECTOR)
    return {
        "detector": str(folder / "moody.py"),
        "model": write_model(folder / "random.onnx"),
    }


@pytest.fixture(scope="session")
def real_engine(engine: dict[str, Any]) -> dict[str, Any]:
    """A random network and the bundled detector."""
    return {"model": engine["model"]}


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Twelve photos in two folders and an unreadable one."""
    folder = tmp_path / "album"
    for i in range(12):
        photo(folder / ("a" if i % 2 else "b") / f"{i:02}.jpg")
    (folder / "a" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a photo")
    return folder


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 frames with a face."""
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", moving_face(24))


@pytest.fixture
def asking(real_engine: dict[str, Any]) -> dict[str, Any]:
    """With both attributes."""
    return real_engine | {"attributes": ATTRIBUTES}


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Two photos, and a file that is none."""
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 not a photo")
    return [photo(tmp_path / "a.jpg"), photo(tmp_path / "b.jpg"), broken]
