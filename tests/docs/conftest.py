"""What the samples name: generated files, local servers and simulated cameras."""

from __future__ import annotations

import dataclasses
import io
import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.docs.samples import ROOT
from tests.helpers.cameras import StallingServer
from tests.helpers.clips import moving_face, portrait, write_video
from tests.helpers.http_server import serve
from tests.helpers.models import DATA, net_at
from tests.helpers.mqtt_broker import run_broker
from tests.helpers.object_store import run_object_store
from tests.helpers.onnx_models import write_centerface, write_model, write_yunet
from tests.helpers.ports import free_port
from tests.helpers.rtsp import RtspServer
from tests.helpers.servers import run_server

PHOTOS = {"a.jpg": 512, "b.jpg": 300, "holiday/c.jpg": 400}
"""Files below photos/ and their sides."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos, videos, archives and networks."""
    folder = tmp_path_factory.mktemp("template")
    cv2.imwrite(str(folder / "photo.jpg"), portrait())
    (folder / "photos" / "holiday").mkdir(parents=True)
    for name, size in PHOTOS.items():
        cv2.imwrite(str(folder / "photos" / name), cv2.resize(portrait(), (size, size)))
    write_video(folder / "clip.mp4", moving_face(24))
    for part in ("clips", "shards"):
        (folder / part).mkdir()
    for name in ("a.mp4", "b.mp4", "clips/c.mp4"):
        write_video(folder / name, moving_face(5))
    for number in range(2):
        with tarfile.open(folder / "shards" / f"{number:03}.tar", "w") as shard:
            shard.add(folder / "photo.jpg", f"{number:06}.jpg")
    with zipfile.ZipFile(folder / "album.zip", "w") as album:
        album.write(folder / "photo.jpg", "photo.jpg")
    write_model(folder / "my_model.onnx")
    write_model(folder / "unlabelled.onnx", metadata={})
    path = folder / "emotion-ferplus-8.onnx"
    write_model(path, metadata={}, size=64, classes=8, last="Identity")
    write_yunet(folder / "yunet.onnx", sides=(64, 64))
    write_centerface(folder / "centerface.onnx")
    return folder


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Host and port of ``fastfer serve``."""
    with run_server() as server:
        yield server.url.removeprefix("http://")


@pytest.fixture
def rtsp_url() -> Iterator[str]:
    """A network camera."""
    camera = RtspServer()
    yield camera.url
    camera.stop()


@pytest.fixture
def local_cameras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """``fastfer watch`` with the cameras.toml of the page, but local addresses."""
    for package in ("paho.mqtt", "prometheus_client", "pyarrow"):
        pytest.importorskip(package, reason="needs the extras watch and batch")
    for name in ("MQTT_PASSWORD", "WEBHOOK_SECRET"):
        monkeypatch.setenv(name, "secret")
    text = Path("cameras.toml").read_text(encoding="utf-8")
    with (
        closing(StallingServer(20, repeat=1000)) as camera,
        run_broker(tmp_path) as broker,
        serve() as receiver,
    ):
        for there, here in {
            "rtsp://user:password@192.0.2.10/stream1": camera.url,
            "source = 0 ": f'source = "{camera.url}" ',
            '"broker.local"': f'"127.0.0.1"\nport = {broker}',
            "https://example.org": receiver.url,
            "port = 9110": f"port = {free_port()}",
        }.items():
            assert there in text
            text = text.replace(there, here)
        Path("local.toml").write_text(text, encoding="utf-8")
        yield "fastfer watch local.toml\n"
        assert receiver.received
    assert {file.parent.name for file in Path("rows").rglob("*.parquet")} == {"door", "hall"}


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A bucket with photos."""
    with run_object_store(monkeypatch) as store:
        store.mkdir("bucket")
        for name in ("photos/a.jpg", "more/b.jpg", "more/holiday/c.jpg"):
            store.put_file("photo.jpg", f"bucket/{name}")
        yield
        assert store.find("bucket/faces")


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """``fastfer models`` downloads a small file from a local server in place of YuNet."""
    from fastfer.cli import models

    monkeypatch.delenv("FASTFER_OFFLINE", raising=False)
    with serve() as site:
        site.files["/yunet.onnx"] = DATA
        yunet = dataclasses.replace(net_at(f"{site.url}/yunet.onnx"), name="yunet")
        monkeypatch.setattr(models, "downloads", lambda: {"yunet": yunet})
        yield


@pytest.fixture
def fer2013() -> None:
    """Drawn faces in the layouts of FER-2013, FER+ and labelled photos."""
    for name, data in _fer2013().items():
        Path(name).write_bytes(data)


@cache
def _fer2013() -> dict[str, bytes]:
    from fastfer.labels import EMOTIONS
    from tests.helpers.drawn_faces import FERPLUS_NAMES, csv_text, draw_faces, votes_text

    parts = {"Training": draw_faces(42, 1), "PublicTest": draw_faces(14, 2)}
    usages = [usage for usage, (_, labels) in parts.items() for _ in labels]
    votes = [{FERPLUS_NAMES[EMOTIONS[n]]: 10} for _, labels in parts.values() for n in labels]
    archive, photos = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("fer2013.csv", csv_text(parts))
    images, labels = parts["PublicTest"]
    np.savez(photos, images=images, images_full=images, labels=labels.astype(np.uint8))
    return {
        "archive.zip": archive.getvalue(),
        "fer2013new.csv": votes_text(usages, votes).encode(),
        "photos.npz": photos.getvalue(),
    }


@pytest.fixture
def keras_file() -> None:
    """A network of another project."""
    keras = pytest.importorskip("keras", reason="needs the extra train")
    layers = keras.layers
    network = [keras.Input((48, 48, 1)), layers.Flatten(), layers.Dense(7, activation="softmax")]
    keras.Sequential(network).save("model.h5")


@pytest.fixture
def detector_data() -> None:
    """Drawn photos with labelled faces."""
    from tests.helpers.drawn_scenes import write_scenes

    for folder in ("faces", "facedet2", "../shared/data/facedet"):
        if not Path(folder).exists():
            write_scenes(Path(folder), {"train": 12, "val": 6})


@pytest.fixture
def checkout() -> None:
    """What MkDocs reads of the repository, without the packages of the demo."""
    shutil.copyfile(ROOT / "mkdocs.yml", "mkdocs.yml")
    for part in ("docs", "fastfer", "examples", "cext"):
        shutil.copytree(ROOT / part, part, ignore=shutil.ignore_patterns("node_modules", "__*__"))
