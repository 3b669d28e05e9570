"""The package: public names, lazy imports, help."""

from __future__ import annotations

import inspect
import pydoc
import typing
from collections.abc import Callable, Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

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


@pytest.mark.parametrize("module", ["cv2", "av", "onnxruntime"])
def test_a_missing_package_is_named_with_the_way_to_install_it(module: str) -> None:
    command = "video" if module == "av" else "image"
    code = f"""
import sys
import fastfer
sys.modules[{module!r}] = None  # What import then raises is that of an absent module.
from fastfer.cli.main import main
try:
    fastfer.Engine().classifier, fastfer.stream
except fastfer.PackageMissingError as error:
    assert error.code == "missing_package"
else:
    raise SystemExit(5)
raise SystemExit(main([{command!r}, {__file__!r}]))
"""
    found = python("-c", code)
    assert found.returncode == 1
    assert "pip install" in found.stderr
    assert "Traceback" not in found.stderr
    if module == "cv2":
        assert "opencv-python-headless" in found.stderr


def test_an_opencv_that_cannot_be_loaded(tmp_path: Path) -> None:
    """As in slim containers, where libGL is missing."""
    library = tmp_path / f"cv2{EXTENSION_SUFFIXES[0]}"
    library.write_bytes(b"no library")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import fastfer; fastfer.Engine"
    found = python("-c", code)
    assert "PackageMissingError" in found.stderr
    assert "pip install opencv-python-headless" in found.stderr
