"""Engines in other processes: pickling, spawn, forkserver, fork."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastfer import Engine
from tests.helpers.onnx_models import write_model
from tests.helpers.pictures import astronaut

METHODS = [
    pytest.param(
        method,
        marks=pytest.mark.skipif(
            method not in multiprocessing.get_all_start_methods(),
            reason="not available on this system",
        ),
    )
    for method in ("fork", "forkserver", "spawn")
]
requires_fork = pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="needs os.fork"
)
SECONDS = 60
"""Limit for a worker that hangs; results take a second."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """Used before any process starts, with several threads, which a fork does not copy."""
    model = write_model(tmp_path_factory.mktemp("models") / "random.onnx")
    engine = Engine("nano", model, threads=2)
    engine.analyze(astronaut())
    return engine


def test_a_pickled_engine_loads_its_models_again(engine: Engine) -> None:
    engine = Engine("nano:score=0.4", engine.classifier.path, min_quality=0.1, threads=1)
    data = pickle.dumps(engine)
    assert len(data) < 2000, "arguments, not models"
    copy = pickle.loads(data)
    assert copy.min_quality == 0.1
    assert copy.classifier is not engine.classifier
    assert copy.classifier.threads == 1
    assert copy.analyze(astronaut()).faces == engine.analyze(astronaut()).faces


def test_pickles_keep_background_loading(engine: Engine) -> None:
    copy = pickle.loads(pickle.dumps(Engine("nano", load_in_background=True)))
    assert copy.analyze(astronaut()).faces


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize("method", METHODS)
def test_processes_of_every_start_method_take_an_engine(engine: Engine, method: str) -> None:
    context: Any = multiprocessing.get_context(method)
    frame = large_frame()
    want = engine.analyze(frame).faces
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        assert pool.submit(engine.analyze, frame).result(SECONDS).faces == want


@requires_fork
def test_a_forked_child_loads_its_own_models(engine: Engine) -> None:
    frame = large_frame()
    want = engine.analyze(frame).faces

    def child() -> bool:
        return engine.analyze(frame).faces == want

    assert run_in_fork(child) is True
    assert engine.analyze(frame).faces == want, "the parent keeps its models"


@requires_fork
def test_a_fork_waits_for_background_loading() -> None:
    engine = Engine(load_in_background=True)
    assert run_in_fork(lambda: len(engine.analyze(astronaut()))) == 1
    assert len(engine.analyze(astronaut())) == 1


def large_frame() -> NDArray[np.uint8]:
    """A frame large enough that networks and OpenCV use all their threads."""
    return np.ascontiguousarray(np.tile(astronaut(), (3, 3, 1)))


def run_in_fork(call: Callable[[], Any]) -> Any:
    """The result of ``call`` in a forked child."""
    context: Any = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    process = context.Process(target=lambda: results.put(call()))
    process.start()
    process.join(SECONDS)
    if process.is_alive():
        process.kill()
    assert process.exitcode == 0
    return results.get()
