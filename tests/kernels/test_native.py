"""The compiled engine by itself: what it refuses, how it is chosen, and how it is built."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastfer.errors import UsageError
from fastfer.kernels import backend

pytestmark = pytest.mark.skipif(backend.PURE, reason="FASTFER_PURE=1: the engine is not used")

ROOT = Path(__file__).resolve().parents[2]
CEXT = ROOT / "cext"
BASELINE = [
    "ff_cpu.c",
    "ff_dispatch.c",
    "ff_pack.c",
    "ff_rotate.c",
    "ff_boxes.c",
    "ff_feature_maps.c",
    "ff_scalar.c",
]
"""Sources that must run on every processor of the architecture."""
ISAS = {"scalar", "avx2", "avx512", "neon"}

if not backend.PURE:
    from fastfer import _native


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs code in a fresh interpreter, with the package that these tests run with."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("FASTFER_")}
    environment["PYTHONPATH"] = str(Path(backend.__file__).parents[2])
    return subprocess.run(
        [sys.executable, "-P", "-c", code],
        env=inherited | environment,
        capture_output=True,
        text=True,
    )


def compiler() -> str:
    found = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if found is None or sys.platform == "win32":
        pytest.skip("no C compiler that takes the options of gcc")
    return found


# ---- Choosing an instruction set -----------------------------------------------------------------


def test_the_best_one_is_used() -> None:
    result = python(
        "from fastfer.kernels import backend; print(backend.isa(), *backend.available())"
    )
    used, *available = result.stdout.split()
    assert used == available[0]
    assert available[-1] == "scalar"
    assert set(available) <= ISAS


def test_force_isa_returns_the_one_before() -> None:
    before = _native.isa()
    assert _native.force_isa("scalar") == before
    assert _native.isa() == "scalar"
    assert _native.force_isa(before) == "scalar"


def test_force_isa_refuses_and_keeps() -> None:
    before = _native.isa()
    for name in ("sse2", "avx2 ", *(ISAS - set(_native.available()))):
        with pytest.raises(UsageError, match=r"Here run: .*scalar"):
            _native.force_isa(name)
        assert _native.isa() == before


@pytest.mark.parametrize("name", backend.available())
def test_the_environment_chooses(name: str) -> None:
    result = python("from fastfer.kernels import backend; print(backend.isa())", FASTFER_ISA=name)
    assert result.stdout.strip() == name


@pytest.mark.parametrize("name", ["sse2", "AVX2", *sorted(ISAS - set(backend.available()))])
def test_the_environment_names_something_else(name: str) -> None:
    result = python("import fastfer.kernels.pack", FASTFER_ISA=name)
    assert result.returncode != 0
    assert f"UsageError: FASTFER_ISA='{name}'" in result.stderr
    assert "Here run:" in result.stderr


# ---- With and without the engine -----------------------------------------------------------------

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


@pytest.mark.parametrize("text", ["0", "false", "No", "off", ""])
def test_no_means_the_engine(text: str) -> None:
    asked = "from fastfer.kernels import backend; print(backend.PURE)"
    assert python(asked, FASTFER_PURE=text).stdout.split() == ["False"]


def test_a_slip_does_not_choose_the_slow_way() -> None:
    result = python("import fastfer.kernels.pack", FASTFER_PURE="perhaps")
    assert "UsageError: FASTFER_PURE is 'perhaps'" in result.stderr


def test_a_missing_engine_says_how_to_build_it() -> None:
    missing = "import sys; sys.modules['fastfer._native'] = None; "
    result = python(missing + "import fastfer.kernels.pack")
    assert result.returncode != 0
    assert "ExtensionMissingError: fastfer's compiled engine" in result.stderr
    assert "pip install ." in result.stderr
    assert "FASTFER_PURE=1" in result.stderr
    assert python(missing + "import fastfer.kernels.pack", FASTFER_PURE="1").returncode == 0


# ---- Memory safety: nothing is trusted -----------------------------------------------------------


def arguments() -> dict[str, Any]:
    return {
        "frame": np.zeros((20, 30, 3), np.uint8),
        "boxes": np.array([[1.0, 2.0, 10.0, 10.0]]),
        "size": 16,
        "scale": 1.0,
        "bias": 0.0,
        "out": np.empty((1, 16, 16, 1), np.float32),
    }


def test_sound_arguments_pass() -> None:
    assert _native.pack(**arguments()) == -1


shared = np.zeros(20000, np.uint8)


@pytest.mark.parametrize(
    "change",
    [
        {"frame": np.zeros((20, 30, 3), np.int8)},
        {"frame": np.zeros((20, 30, 3), np.uint16)},
        {"frame": np.zeros((20, 30, 4), np.uint8)},
        {"frame": np.zeros((20, 30, 3), np.uint8)[:, ::-1]},
        {"frame": np.zeros((20, 30, 3), np.uint8)[..., ::-1]},
        {"frame": np.zeros((20, 30), np.uint8)[:, ::2]},
        {"frame": np.zeros((0, 30, 3), np.uint8)},
        {"frame": np.zeros((20, 0), np.uint8)},
        {"frame": np.zeros(30, np.uint8)},
        {"frame": b"\0" * 30},
        {"boxes": np.zeros((1, 4), np.float32)},
        {"boxes": np.zeros((1, 4), ">f8")},
        {"boxes": np.zeros((1, 5))},
        {"boxes": np.zeros(4)},
        {"boxes": np.ones((4, 2)).T},
        {"boxes": np.ones((2, 8))[:, ::2]},
        {"boxes": np.ones((2, 4))},
        {"size": 15},
        {"size": 257},
        {"size": 17},
        {"out": np.empty((2, 16, 16, 1), np.float32)},
        {"out": np.empty((1, 16, 16), np.float32)},
        {"out": np.empty((1, 16, 16, 2), np.float32)},
        {"out": np.empty((1, 16, 16, 1), np.float64)},
        {"out": np.empty((1, 16, 16, 2), np.float32)[..., ::2]},
        {"out": np.broadcast_to(np.float32(1), (1, 16, 16, 1))},
        {"out": np.empty(1025, np.uint8)[1:].view(np.float32).reshape(1, 16, 16, 1)},
        {
            "frame": shared[:1800].reshape(20, 30, 3)[::-1],
            "out": shared[1796 : 1796 + 1024].view(np.float32).reshape(1, 16, 16, 1),
        },
    ],
    ids=lambda change: "+".join(change),
)
def test_unsound_arguments_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises((ValueError, BufferError)):
        _native.pack(**(arguments() | change))


@pytest.mark.parametrize("name", ["frame", "boxes", "out"])
def test_what_is_no_buffer_is_refused(name: str) -> None:
    for value in (None, [[1.0]], 3):
        with pytest.raises(TypeError):
            _native.pack(**(arguments() | {name: value}))


def test_memory_that_only_touches_is_no_overlap() -> None:
    out = shared[1800 : 1800 + 1024].view(np.float32).reshape(1, 16, 16, 1)
    assert (
        _native.pack(**(arguments() | {"frame": shared[:1800].reshape(20, 30, 3), "out": out})) < 0
    )


def test_iou_and_nms_refuse_other_shapes() -> None:
    boxes, out = np.ones((3, 4)), np.empty((3, 3))
    order, keep = np.arange(3), np.empty(3, np.int64)
    _native.iou(boxes, boxes, out)
    assert _native.nms(boxes, order, 0.5, keep) == 1
    for call in (
        lambda: _native.iou(boxes, boxes, out[:, :2].copy()),
        lambda: _native.iou(boxes, boxes, np.empty((3, 3), np.float32)),
        lambda: _native.iou(boxes[:, :3].copy(), boxes, out),
        lambda: _native.nms(boxes, order[:2].copy(), 0.5, keep),
        lambda: _native.nms(boxes, order, 0.5, keep[:2].copy()),
        lambda: _native.nms(boxes, order.astype(np.int32), 0.5, keep),
        lambda: _native.nms(boxes, np.array([0, 1, 3]), 0.5, keep),
        lambda: _native.nms(boxes, np.array([0, 1, -1]), 0.5, keep),
    ):
        with pytest.raises(ValueError):  # noqa: PT011
            call()


# ---- How it is built -----------------------------------------------------------------------------


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="about x86-64")
def test_baseline_code_holds_no_wide_vectors() -> None:
    """Else the package would die on a processor without AVX before it could choose."""
    for source in BASELINE:
        command = [compiler(), "-std=c11", "-O3", "-ffp-contract=off", "-S", "-o", "-", source]
        listing = subprocess.run(command, cwd=CEXT, capture_output=True, text=True, check=True)
        assert not re.search(r"%[yz]mm\d|\bv[a-z0-9]+ +%xmm", listing.stdout), source


def test_sources_are_named_once() -> None:
    """Every C file is baseline or of one instruction set, and setup.py builds all of them."""
    present = {p.name for p in CEXT.glob("ff_*.c")}
    assert present == {*BASELINE, "ff_avx2.c", "ff_avx512.c", "ff_neon.c"}
    assert present == set(re.findall(r"cext/(ff_\w+\.c)", (ROOT / "setup.py").read_text()))


def test_kernels_agree_without_python(tmp_path: Path) -> None:
    """Builds the check that other architectures use, with warnings as errors, and runs it."""
    program = tmp_path / "check"
    sources = [ROOT / "tests/cext/check_kernels.c", *sorted(CEXT.glob("ff_*.c"))]
    options = ["-std=c11", "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", f"-I{CEXT}"]
    subprocess.run([compiler(), *options, *sources, "-o", program], check=True)
    result = subprocess.run([program, "60"], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
    assert set(result.stderr.split(":")[1].split()) == set(_native.available())


def test_neon_under_an_emulator() -> None:
    needed = ("aarch64-linux-gnu-gcc", "qemu-aarch64", "cc")
    if missing := [tool for tool in needed if shutil.which(tool) is None]:
        pytest.skip(f"{', '.join(missing)} not installed")
    result = subprocess.run(
        [ROOT / "tests/cext/check_neon.sh", "40"], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert "neon" in result.stderr
    assert "same bytes on both" in result.stdout
