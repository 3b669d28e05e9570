"""What tests of every part share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fastfer import kernels

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of data that is not part of the repository."""
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is absent: the data for this test is not in the repository")
    return SHARED


@pytest.fixture(params=kernels.available())
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Walks every instruction set that is compiled in and runs here; the kernels use it."""
    name: str = request.param
    if kernels.PURE:
        yield name
        return
    from fastfer import _native

    before = _native.force_isa(name)
    yield name
    _native.force_isa(before)
