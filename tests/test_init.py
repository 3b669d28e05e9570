"""The package: public names, lazy imports, help."""

from __future__ import annotations

import inspect
import pydoc
import typing
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import fastfer
from fastfer.classifiers.contract import Head
from fastfer.io.frame_source import Frame
from fastfer.priors import Prior
from tests.helpers.commands import python


def test_importing_loads_no_library() -> None:
    code = """
import sys
import fastfer
assert not {"numpy", "cv2", "onnxruntime"} & sys.modules.keys()
assert fastfer.EMOTIONS[3] == "happy"
assert "numpy" not in sys.modules
"""
    assert python("-c", code).returncode == 0


def test_every_public_name_is_available() -> None:
    for name in fastfer.__all__:
        assert getattr(fastfer, name) is not None
        assert name in dir(fastfer)
    assert not hasattr(fastfer, "nothing")


def test_help_lists_the_public_names() -> None:
    head = pydoc.plaintext.document(fastfer).split("PACKAGE CONTENTS")[0]
    for name in fastfer.__all__:
        error = name.endswith("Error") and name != "FastferError"
        assert error or name in head


OF_MODULES = {"EncodedImage", "FrameSource", "Picture", "PillowImage"}
"""Classes of arguments that users need not name: of analyze_encoded(), VideoStream, VideoFrame, and
Pillow."""


def public_functions() -> Iterator[Callable[..., Any]]:
    for name in fastfer.__all__:
        value = getattr(fastfer, name)
        if inspect.isclass(value):
            yield value.__init__
            yield from (m for k, m in inspect.getmembers(value, inspect.isfunction) if k[0] != "_")
        elif inspect.isfunction(value):
            yield value


def classes_in(hint: Any) -> Iterator[type]:
    """The classes of fastfer in a type hint."""
    if isinstance(hint, type) and hint.__module__.startswith("fastfer."):
        yield hint
    for part in typing.get_args(hint):
        yield from classes_in(part)


def test_the_class_of_every_argument_is_public() -> None:
    # What modules import for type checkers alone.
    names: dict[str, Any] = {"Head": Head, "Prior": Prior, "Frame": Frame}
    names |= {"ModelSpec": fastfer.ModelSpec, "FrameResult": fastfer.FrameResult}
    packages = {
        "pandas": SimpleNamespace(DataFrame=Any),
        "supervision": SimpleNamespace(Detections=Any),
    }
    found = set()
    for function in public_functions():
        hints = typing.get_type_hints(function, localns=names | packages)
        hints.pop("return", None)
        found |= {kind.__name__ for hint in hints.values() for kind in classes_in(hint)}
    assert {"ModelSpec", "CameraOptions", "Engine", "Classifier"} <= found
    assert found - set(fastfer.__all__) == OF_MODULES
