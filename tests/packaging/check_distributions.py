"""Check what built distributions hold: ``python tests/packaging/check_distributions.py DIST``."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path

MAX_WHEEL = 5_000_000
"""Bytes."""
MAX_SDIST = 6_000_000
REQUIRED = (
    "fastfer/py.typed",
    "fastfer/_native.pyi",
    "fastfer/models/expression.onnx",
    "fastfer/models/expression.md",
    "fastfer/models/attributes.onnx",
    "fastfer/models/attributes.md",
    "fastfer/models/nano.onnx",
    "fastfer/models/refiner.onnx",
    "fastfer/models/manifest.json",
    "fastfer/display/font/font.npz",
    "fastfer/display/font/LICENSE-DejaVu.txt",
)
FLOAT32_MODEL = "fastfer/models/expression_float32.onnx"


def wheel_problems(path: Path) -> list[str]:
    """What is wrong with a wheel."""
    names = set(zipfile.ZipFile(path).namelist())
    problems = [f"{name} is missing" for name in REQUIRED if name not in names]
    if not any(name.startswith("fastfer/_native.") and ".py" not in name for name in names):
        problems.append("the compiled module is missing")
    x86 = path.stem.endswith(("x86_64", "amd64"))
    if (FLOAT32_MODEL in names) is x86:
        problems.append(f"{FLOAT32_MODEL} is {'present' if x86 else 'missing'}")
    top = {name.split("/")[0] for name in names}
    extra = sorted(name for name in top if not name.startswith("fastfer"))
    return problems + [f"{name} does not belong into a wheel" for name in extra]


def sdist_problems(path: Path) -> list[str]:
    """What is wrong with a source distribution."""
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    sources = ("cext/ff.h", "cext/_native.pyx", "tests/conftest.py")
    required = {*REQUIRED, FLOAT32_MODEL, *sources}
    problems = [f"{name} is missing" for name in sorted(required - names)]
    excluded = ("training/", "docs/", "benchmarks/", "cext/_native.c")
    found = sorted({start for n in names for start in excluded if n.startswith(start)})
    return problems + [f"{start} does not belong into it" for start in found]


def main() -> int:
    """Print each file's size and problems; returns 1 if there is a problem."""
    folder = Path(sys.argv[1])
    failed = 0
    for pattern, limit, check in (
        ("*.whl", MAX_WHEEL, wheel_problems),
        ("*.tar.gz", MAX_SDIST, sdist_problems),
    ):
        files = list(folder.glob(pattern))
        if len(files) != 1:
            print(f"{folder}: expected one {pattern}, found {len(files)}")
            failed = 1
        for file in files:
            size = file.stat().st_size
            print(f"{file.name}: {size / 1e6:.2f} MB of at most {limit / 1e6:.0f} MB")
            problems = check(file)
            if size > limit:
                problems.append("it is too large")
            for problem in problems:
                print(f"  {problem}")
            failed |= bool(problems)
    return failed


if __name__ == "__main__":
    sys.exit(main())
