"""Selecting the implementation: instruction sets, and NumPy without the engine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fastfer.kernels import backend, reference

pytestmark = pytest.mark.skipif(backend.PURE, reason="FASTFER_PURE=1: the engine is not used")

ISAS = {"scalar", "avx2", "avx512", "neon"}
CONSTANTS = ("MIN_SIZE", "MAX_SIZE", "SUBPIXEL", "MAX_SIDE", "ROTATION_ONE", "LANDMARKS", "PLANES")


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new interpreter with the package under test."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("FASTFER_")}
    environment["PYTHONPATH"] = str(Path(backend.__file__).parents[2])
    return subprocess.run(
        [sys.executable, "-P", "-c", code],
        env=inherited | environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("name", CONSTANTS)
def test_constants_of_the_reference_are_those_of_the_engine(name: str) -> None:
    from fastfer import _native

    assert getattr(reference, name) == getattr(_native, name)


def test_the_fastest_instruction_set_is_the_default() -> None:
    result = python(
        "from fastfer.kernels import backend; print(backend.isa(), *backend.available())"
    )
    used, *available = result.stdout.split()
    assert used == available[0]
    assert available[-1] == "scalar"
    assert set(available) <= ISAS


@pytest.mark.parametrize("name", backend.available())
def test_the_environment_selects_an_instruction_set(name: str) -> None:
    result = python("from fastfer.kernels import backend; print(backend.isa())", FASTFER_ISA=name)
    assert result.stdout.strip() == name


@pytest.mark.parametrize("name", ["sse2", "AVX2", *sorted(ISAS - set(backend.available()))])
def test_an_unavailable_instruction_set_is_refused(name: str) -> None:
    result = python("import fastfer.kernels.pack", FASTFER_ISA=name)
    assert result.returncode != 0
    assert f"UsageError: FASTFER_ISA={name!r}" in result.stderr
    assert ", ".join(backend.available()) in result.stderr


DIGEST = """
import hashlib, sys, numpy as np
from fastfer import iou, nms, pack_faces
from fastfer.kernels import backend
frame = np.random.default_rng(5).integers(0, 256, (120, 150, 3), np.uint8)
boxes = [(3, 4, 30, 31), (-7.5, 20.2, 90.7, 64.1), (5, 60, 99, 20)]
data = pack_faces(frame, boxes).tobytes() + iou(boxes, boxes).tobytes()
data += nms(boxes, [0.1, 0.9, 0.5], 0.1).tobytes()
print(hashlib.sha256(data).hexdigest(), backend.isa(), "fastfer._native" in sys.modules)
"""


def test_pure_python_gives_the_same_bytes_without_the_engine() -> None:
    native, pure = python(DIGEST).stdout.split(), python(DIGEST, FASTFER_PURE="1").stdout.split()
    assert native[0] == pure[0]
    assert native[2] == "True"
    assert pure[1:] == ["numpy", "False"]


def test_values_that_keep_the_engine() -> None:
    code = """
import importlib, os
from fastfer.kernels import backend
for text in ("0", "false", "No", "off", ""):
    os.environ["FASTFER_PURE"] = text
    print(importlib.reload(backend).PURE)
"""
    assert python(code).stdout.split() == ["False"] * 5


def test_a_misspelt_flag_is_refused() -> None:
    result = python("import fastfer.kernels.pack", FASTFER_PURE="perhaps")
    assert "UsageError: FASTFER_PURE" in result.stderr
    assert "'perhaps'" in result.stderr


def test_a_missing_engine_is_an_error_that_names_the_build_command() -> None:
    missing = "import sys; sys.modules['fastfer._native'] = None; "
    result = python(missing + "import fastfer.kernels.pack")
    assert result.returncode != 0
    assert "ExtensionMissingError" in result.stderr
    assert "pip install ." in result.stderr
    assert "FASTFER_PURE=1" in result.stderr
    assert python(missing + "import fastfer.kernels.pack", FASTFER_PURE="1").returncode == 0
