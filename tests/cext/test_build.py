"""Building the engine: baseline code, the list of sources, and the kernels without Python."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fastfer.kernels import backend

ROOT = Path(__file__).resolve().parents[2]
CEXT = ROOT / "cext"
BASELINE = [
    "ff_cpu.c",
    "ff_dispatch.c",
    "ff_pack.c",
    "ff_rotate.c",
    "ff_boxes.c",
    "ff_flow.c",
    "ff_feature_maps.c",
    "ff_scalar.c",
]
"""Sources that run on every processor of the architecture."""


def compiler() -> str:
    found = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if found is None or sys.platform == "win32":
        pytest.skip("needs a C compiler with the options of gcc")
    return found


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="checks x86-64 code")
def test_baseline_code_holds_no_wide_vectors() -> None:
    """Otherwise a processor without AVX would crash before the dispatcher runs."""
    for source in BASELINE:
        command = [compiler(), "-std=c11", "-O3", "-ffp-contract=off", "-S", "-o", "-", source]
        listing = subprocess.run(command, cwd=CEXT, capture_output=True, text=True, check=True)
        assert not re.search(r"%[yz]mm\d|\bv[a-z0-9]+ +%xmm", listing.stdout), source


def test_every_source_is_baseline_or_of_one_instruction_set() -> None:
    """And setup.py builds all of them."""
    present = {p.name for p in CEXT.glob("ff_*.c")}
    assert present == {*BASELINE, "ff_avx2.c", "ff_avx512.c", "ff_neon.c"}
    assert present == set(re.findall(r"cext/(ff_\w+\.c)", (ROOT / "setup.py").read_text()))


@pytest.mark.skipif(backend.PURE, reason="FASTFER_PURE=1: no engine to compare with")
def test_kernels_agree_without_python(tmp_path: Path) -> None:
    """Builds the check of other architectures, with warnings as errors, and runs it."""
    program = tmp_path / "check"
    sources = [ROOT / "tests/cext/check_kernels.c", *sorted(CEXT.glob("ff_*.c"))]
    options = ["-std=c11", "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", f"-I{CEXT}"]
    subprocess.run([compiler(), *options, *sources, "-o", program, "-lm"], check=True)
    result = subprocess.run([program, "60"], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
    assert set(result.stderr.split(":")[1].split()) == set(backend.available())


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
