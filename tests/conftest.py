"""What tests of every part share."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of data that is not part of the repository."""
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is absent: the data for this test is not in the repository")
    return SHARED
