"""Work in a background thread: result, error, order."""

from __future__ import annotations

import threading

import pytest

from fastfer.errors import ModelError
from fastfer.inference.background import in_background
from tests.helpers.commands import python


def test_the_caller_goes_on_until_it_needs_the_result() -> None:
    ready = threading.Event()
    made: list[str] = []

    def make() -> str:
        assert ready.wait(30)
        made.append(threading.current_thread().name)
        return "made"

    result = in_background("fastfer-test", make)
    assert made == []
    ready.set()
    assert result() == "made"
    assert result() == "made"
    assert made == ["fastfer-test"], "once, in a thread of this name"


def test_an_error_is_raised_by_every_call() -> None:
    def fail() -> None:
        raise ModelError("bad", code="not_found")

    result = in_background("fastfer-test", fail)
    for _ in range(2):
        with pytest.raises(ModelError) as caught:
            result()
        assert caught.value.code == "not_found"


NAMES = """
import os
from fastfer.inference.background import reserve_environment_names
os.environ.pop("QT_QPA_FONTDIR", None)
os.environ["LD_LIBRARY_PATH"] = "kept"
reserve_environment_names()
assert os.environ["QT_QPA_FONTDIR"] == ""
assert os.environ["LD_LIBRARY_PATH"] == "kept"
import cv2
del os.environ["LD_LIBRARY_PATH"]
reserve_environment_names()
assert "LD_LIBRARY_PATH" not in os.environ, "OpenCV is imported already"
"""


def test_names_are_reserved_before_opencv_is_imported() -> None:
    done = python("-c", NAMES)
    assert done.returncode == 0, done.stderr
