"""What the benchmarks print in a clone without pytest-benchmark."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WITHOUT = """
import runpy, sys
sys.path.append(sys.argv.pop(1))  # Behind the package under test, which may be installed.
for name in ("pytest", "pytest_benchmark"):
    sys.modules[name] = None
runpy.run_module(sys.argv.pop(1), run_name="__main__")
"""


@pytest.mark.parametrize("file", sorted(ROOT.glob("benchmarks/bench_*.py")), ids=lambda f: f.stem)
def test_without_pytest_a_benchmark_says_what_to_install(file: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(ROOT), f"benchmarks.{file.stem}"],
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "the benchmarks need pytest-benchmark: pip install -e '.[bench]'\n"
