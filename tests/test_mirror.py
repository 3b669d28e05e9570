"""The tests mirror the package: every module has a test file of its name, and the reverse."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
WITHOUT_TESTS = {
    "fastfer/display/font/make_font.py": "run by hand; tests/display/test_text.py tests the font",
    "training/expression/heads.py": "names alone",
}
"""Modules without a test file of their name, and where they are tested instead, or why not."""
WITHOUT_MODULE = {
    "tests/test_conftest.py": "of the tests themselves",
    "tests/test_mirror.py": "of the tests themselves",
    "tests/test_contempt.py": "a network of eight classes through every output",
    "tests/training/test_help.py": "--help of all training commands",
    "tests/classifiers/test_heads.py": "classifiers/native.py: networks with several heads",
    "tests/classifiers/test_priors.py": "classifiers/native.py: class priors",
    "tests/detectors/test_own_detector.py": "a detector from outside the package",
    "tests/outputs/test_commands_agree.py": "the outputs of both commands, compared",
    "tests/outputs/test_golden.py": "results of the bundled networks",
    "tests/pipeline/test_prefetched_detection.py": "detection ahead of tracking, in a whole run",
    "tests/pipeline/test_stream_processes.py": "videos in child processes of every kind",
    "tests/training/expression/test_backends.py": "whole runs on Keras's other backends",
    "tests/training/test_recipes.py": "training/recipes/*.sh",
}
"""Test files that belong to no single module, and why."""
FOLDERS = {
    "benchmarks": "benchmarks",
    "cext": "C",
    "docs": "documentation",
    "packaging": "distributions",
    "deploy": "hosting",
    "fuzz": "inputs at random",
    "helpers": "tests",
    "soak": "long runs",
}
"""Folders of tests that mirror no folder of the package."""

pytestmark = pytest.mark.skipif(
    not (ROOT / "training").is_dir(), reason="needs the whole repository"
)


def mirror_of(module: Path) -> str:
    """Where the tests of a module are: fastfer/io/photos.py has tests/io/test_photos.py."""
    parts = module.parent.parts
    folder = Path("tests", *(parts[1:] if parts[0] == "fastfer" else parts))
    return (folder / f"test_{module.stem.strip('_')}.py").as_posix()


def modules() -> list[Path]:
    """All that is mirrored: modules of Python, and the studio's of JavaScript."""
    python = [path for name in ("fastfer", "training") for path in (ROOT / name).rglob("*.py")]
    scripts = (ROOT / "fastfer" / "studio").rglob("*.js")  # They are tested in a browser.
    found = [path.relative_to(ROOT) for path in (*python, *scripts) if path.stem != "__init__"]
    assert len(found) > 250
    return found


def test_every_module_has_a_test_file_of_its_name() -> None:
    missing = {m.as_posix() for m in modules() if not (ROOT / mirror_of(m)).exists()}
    assert missing - set(WITHOUT_TESTS) == set(), "write their tests, or list them with a reason"
    assert set(WITHOUT_TESTS) - missing == set(), "these have a test file now"


def test_every_test_file_has_a_module_of_its_name() -> None:
    expected = set(map(mirror_of, modules()))
    # Kernels in C have tests of their name: cext/ff_rotate.c has test_rotate.py.
    expected |= {f"tests/kernels/test_{c.stem[3:]}.py" for c in (ROOT / "cext").glob("ff_*.c")}
    expected.add("tests/kernels/test_native.py")  # cext/_native.pyx
    found = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("test_*.py")
        if path.relative_to(ROOT).parts[1] not in FOLDERS
    }
    assert found - expected - {"tests/test_init.py"} == set(WITHOUT_MODULE)


def test_no_file_is_longer_than_500_lines() -> None:
    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for package in ("fastfer", "training", "benchmarks", "tests")
        for path in (ROOT / package).rglob("*.py")
    }
    assert {name: length for name, length in lengths.items() if length > 500} == {}
