"""Shared by the tests of training: drawn faces on disk, a cache folder, runs trained once."""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from fastfer.labels import EMOTIONS
from tests.helpers.drawn_faces import FERPLUS_NAMES, csv_text, draw_faces, votes_text
from tests.helpers.drawn_scenes import write_scenes

# Without the packages of the extra "train" there is nothing to test.
collect_ignore_glob = [] if importlib.util.find_spec("keras") else ["*"]


def pytest_configure(config: pytest.Config) -> None:
    """Ignore a warning of one line of Keras, which converts every TensorFlow variable to NumPy."""
    config.addinivalue_line(
        "filterwarnings", "ignore:__array__ implementation doesn't accept:DeprecationWarning:keras"
    )


@pytest.fixture(autouse=True, scope="session")
def _cache_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Parsed data goes to a folder of the test session, not to the user's cache."""
    os.environ["FASTFER_HOME"] = str(tmp_path_factory.mktemp("home"))


@pytest.fixture(autouse=True)
def _float32() -> Iterator[None]:
    """Reset Keras's dtype policy, which a training run in this process sets."""
    yield
    if "keras" in sys.modules:
        sys.modules["keras"].config.set_dtype_policy("float32")


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of drawn photos for the face detector: 12 to train on, 6 to validate."""
    return write_scenes(tmp_path_factory.mktemp("scenes"), {"train": 12, "val": 6})


@pytest.fixture(scope="session")
def detector_run(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run of the face detector's first stage."""
    from tests.helpers.detector_runs import DETECTOR_OPTIONS, train_detector

    out = tmp_path_factory.mktemp("detector") / "run"
    assert train_detector("--data", scenes, "--out", out, *DETECTOR_OPTIONS) == 0
    return out


@pytest.fixture(scope="session")
def crops_folder(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Training crops of the face detector's second stage."""
    from training.refiner import crops

    out = tmp_path_factory.mktemp("crops")
    words = ["--data", str(scenes), "--out", str(out), "--tiles", "60", "--workers", "1"]
    assert crops.main(words) == 0
    return out


@pytest.fixture(scope="session")
def refiner_run(crops_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run of the face detector's second stage."""
    from tests.helpers.detector_runs import REFINER_OPTIONS, train_refiner

    out = tmp_path_factory.mktemp("refiner") / "run"
    assert train_refiner("--data", crops_folder, "--out", out, *REFINER_OPTIONS) == 0
    return out


@pytest.fixture(scope="session")
def parts() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """210 faces to train on and 70 to validate on, with equal numbers of each class."""
    return {"Training": draw_faces(210, 1), "PublicTest": draw_faces(70, 2)}


@pytest.fixture(scope="session")
def faces_csv(tmp_path_factory: pytest.TempPathFactory, parts: dict) -> Path:
    """The drawn faces in the Kaggle layout."""
    path = tmp_path_factory.mktemp("data") / "fer2013.csv"
    path.write_text(csv_text(parts))
    return path


@pytest.fixture(scope="session")
def votes_csv(faces_csv: Path, parts: dict) -> Path:
    """Votes for ``faces_csv``: seven of ten for the label, three for neutral; every ninth face has
    too few usable votes."""
    usages, counts = [], []
    for usage, (_, labels) in parts.items():
        for i, label in enumerate(labels):
            name = FERPLUS_NAMES[EMOTIONS[label]]
            votes = {"neutral": 3} | {name: 7 + 3 * (name == "neutral")}
            usages.append(usage)
            counts.append({"unknown": 8, name: 2} if i % 9 == 8 else votes)
    path = faces_csv.with_name("fer2013new.csv")
    path.write_text(votes_text(usages, counts))
    return path


@pytest.fixture(scope="session")
def train_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Path, str]]:
    """Trains with the given options, once per session: returns the run folder and the output.

    The folder is shared; tests must not write to it.
    """
    import contextlib
    import io

    import tests.helpers.tiny_network  # noqa: F401  (adds the architecture "tiny")
    from training.expression.train import main

    @functools.cache
    def run(*options: object) -> tuple[Path, str]:
        out = tmp_path_factory.mktemp("runs") / "run"
        with contextlib.redirect_stdout(io.StringIO()) as output:
            assert main([str(word) for word in (*options, "--out", out)]) == 0
        return out, output.getvalue()

    return run


@pytest.fixture(scope="session")
def trained_run(train_once: Callable, faces_csv: Path) -> Path:
    """A run that recognises the drawn faces."""
    from tests.helpers.tiny_network import TINY

    return train_once("--data", faces_csv, *TINY)[0]


@pytest.fixture(scope="session")
def two_heads(train_once: Callable, faces_csv: Path, votes_csv: Path) -> Path:
    """A run with the heads fer2013 and ferplus."""
    from tests.helpers.tiny_network import TINY

    words = ("--data", faces_csv, "--votes", votes_csv, "--targets", "both", "--ema", "0.9")
    return train_once(*words, *TINY)[0]


@pytest.fixture(scope="session")
def five_classes(train_once: Callable, faces_csv: Path) -> Path:
    """A run without disgust and fear."""
    from tests.helpers.tiny_network import TINY

    return train_once("--data", faces_csv, "--classes", 5, *TINY)[0]


@pytest.fixture(scope="session")
def photos_npz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labelled photos as ``--photos`` reads them."""
    path = tmp_path_factory.mktemp("photos") / "photos.npz"
    images, labels = draw_faces(30, 9)
    np.savez(path, images=images, images_full=images[:, ::-1], labels=labels.astype(np.uint8))
    return path


@pytest.fixture(scope="session")
def few_faces_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """42 faces to train on and 14 to validate on, for large networks."""
    path = tmp_path_factory.mktemp("few") / "fer2013.csv"
    path.write_text(csv_text({"Training": draw_faces(42, 1), "PublicTest": draw_faces(14, 2)}))
    return path
