"""What tests of every part share."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import pytest

# Appended, so that an installed fastfer is the one that is tested.
sys.path.append(str(Path(__file__).resolve().parents[1]))

from fastfer.detectors import registry
from fastfer.errors import FastferError
from fastfer.kernels import backend

SHARED = Path(__file__).resolve().parents[2] / "shared"


NO_CASCADES = "has no Haar cascades"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Tests of Haar skip on OpenCV 5, which has none; what else they need is tested on both."""
    with _skipped_without_cascades():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """The same for what prepares tests."""
    with _skipped_without_cascades():
        return (yield)


@contextmanager
def _skipped_without_cascades() -> Iterator[None]:
    try:
        yield
    except FastferError as error:
        if NO_CASCADES in str(error) and not hasattr(cv2, "CascadeClassifier"):
            pytest.skip(str(error))
        raise


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of data that is not part of the repository."""
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is absent: the data for this test is not in the repository")
    return SHARED


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))


@pytest.fixture(params=backend.available())
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Walks every instruction set that is compiled in and runs here; the kernels use it."""
    name: str = request.param
    if backend.PURE:
        yield name
        return
    from fastfer import _native

    before = _native.force_isa(name)
    yield name
    _native.force_isa(before)
