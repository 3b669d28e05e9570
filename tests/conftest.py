"""Fixtures of all tests."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Appended, so that an installed fastfer is tested rather than the source tree.
sys.path.append(str(Path(__file__).resolve().parents[1]))

from fastfer.cli.main import main
from fastfer.detectors import registry
from fastfer.kernels import backend
from tests.helpers.commands import Run

# Under nohup SIGINT is ignored, also in child processes; tests of interrupts need it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No test depends on the time that it takes.
settings.register_profile("fastfer", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("fastfer")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of test data outside the repository."""
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} does not exist: the data of this test is not in the repository")
    return SHARED


@pytest.fixture(autouse=True)
def own_registry() -> Iterator[None]:
    """Undo the detector registrations of a test."""
    before = dict(registry._entries)
    yield
    for name in set(registry._entries) - set(before) - registry._built_in_modules():
        del registry._entries[name]
    registry._entries.update(before)


@pytest.fixture
def run_fastfer(capfd: pytest.CaptureFixture[str]) -> Run:
    """``fastfer ARGUMENTS`` within this process, which loads the libraries once for all tests."""

    def run(*args: object) -> subprocess.CompletedProcess[str]:
        capfd.readouterr()
        argv = [str(arg) for arg in args]
        try:
            code: object = main(argv)
        except SystemExit as stop:
            code = stop.code
        return subprocess.CompletedProcess(argv, code, *capfd.readouterr())  # type: ignore[arg-type]

    return run


@pytest.fixture(params=backend.available())
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run a test on every instruction set that is compiled in and available."""
    name: str = request.param
    if backend.PURE:
        yield name
        return
    from fastfer import _native

    before = _native.force_isa(name)
    yield name
    _native.force_isa(before)
