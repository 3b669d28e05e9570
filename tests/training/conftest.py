"""What tests of training share: drawn faces on disk, a cache of their own."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

from fastfer.labels import EMOTIONS
from tests.helpers.drawn_faces import FERPLUS_NAMES, csv_text, draw_faces, votes_text


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Parsed data goes to a folder of the test session, not to the user's cache."""
    os.environ["FASTFER_HOME"] = str(tmp_path_factory.mktemp("home"))


@pytest.fixture(autouse=True)
def _float32() -> Iterator[None]:
    """A training run in this process sets Keras's precision, which would round later tests."""
    yield
    if "keras" in sys.modules:
        sys.modules["keras"].config.set_dtype_policy("float32")


@pytest.fixture(scope="session")
def parts() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """210 faces to train on and 70 to validate on, as many of each class."""
    return {"Training": draw_faces(210, 1), "PublicTest": draw_faces(70, 2)}


@pytest.fixture(scope="session")
def faces_csv(tmp_path_factory: pytest.TempPathFactory, parts: dict) -> Path:
    """The drawn faces in the Kaggle layout."""
    path = tmp_path_factory.mktemp("data") / "fer2013.csv"
    path.write_text(csv_text(parts))
    return path


@pytest.fixture(scope="session")
def votes_csv(faces_csv: Path, parts: dict) -> Path:
    """Votes for ``faces_csv``: seven of ten for the label, three for neutral; every ninth face of
    the last kind, too few usable votes."""
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
def trained(
    tmp_path_factory: pytest.TempPathFactory, faces_csv: Path
) -> Callable[[str], tuple[Path, str]]:
    """The run of an architecture after one epoch, and what training printed: made once each."""
    import contextlib
    import io

    from training.expression.train import main

    folder = tmp_path_factory.mktemp("trained")

    @functools.cache
    def run(arch: str) -> tuple[Path, str]:
        words = f"--data {faces_csv} --out {folder / arch} --arch {arch} --epochs 1 --batch-size 70"
        with contextlib.redirect_stdout(io.StringIO()) as said:
            assert main(words.split()) == 0
        return folder / arch, said.getvalue()

    return run
