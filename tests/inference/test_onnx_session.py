"""Threads and model files of sessions."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from fastfer.errors import ModelError, UsageError
from fastfer.inference import cpus
from fastfer.inference.onnx_session import (
    DEFAULT_MAX_THREADS,
    THREAD_LIMIT,
    Session,
    pick_threads,
    read_model,
)
from tests.helpers.errors import raises
from tests.helpers.onnx_models import write_model


def test_threads() -> None:
    assert pick_threads(None) == min(cpus.available(), DEFAULT_MAX_THREADS)
    assert pick_threads(3) == 3
    wrongs: list[Any] = [0, -1, THREAD_LIMIT + 1, 100_000, "2", 1.5, [1]]
    for wrong in wrongs:
        with raises(UsageError, "out_of_range", "threads"):
            pick_threads(wrong)


def test_missing_files(tmp_path: Path) -> None:
    with raises(ModelError, "not_found", "none.onnx"):
        read_model(tmp_path / "none.onnx")
    with raises(ModelError, "is_directory"):
        read_model(tmp_path)


@pytest.mark.parametrize("data", [b"", b"not a model", bytes(1000), b"\x08\x07garbage" * 50])
def test_files_that_are_not_onnx(data: bytes) -> None:
    with raises(ModelError, "invalid_model", "bad.onnx"):
        Session(data, "bad.onnx", 1)


def test_metadata_that_is_not_utf8(tmp_path: Path) -> None:
    path = write_model(tmp_path / "a.onnx")
    data = path.read_bytes()
    key = b"fastfer.name"
    at = data.index(key) + len(key)
    text = data.index(b'"', at) + 1
    path.write_bytes(data[:text] + b"\xff" + data[text + 1 :])
    with raises(ModelError, "invalid_model", "a.onnx"):
        Session(path.read_bytes(), "a.onnx", 1).metadata  # noqa: B018


def test_a_pickled_session_opens_its_network_again(tmp_path: Path) -> None:
    data = write_model(tmp_path / "model.onnx").read_bytes()
    session = Session(data, "model", 1)
    copy = pickle.loads(pickle.dumps(session))
    assert (copy.name, copy.threads, copy.metadata) == ("model", 1, session.metadata)


def test_a_name_that_no_file_can_have() -> None:
    with pytest.raises(ModelError):  # The code depends on the version of Python.
        read_model(Path("a" * 5000))
