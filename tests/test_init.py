"""The package: public names, lazy imports, help."""

from __future__ import annotations

import pydoc

import fastfer
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
