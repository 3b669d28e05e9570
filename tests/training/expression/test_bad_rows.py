"""Bad rows: one error for all, or skipped."""

from __future__ import annotations

from fastfer.errors import InputError
from tests.helpers.errors import raises
from training.expression.bad_rows import BadRows


def rows(count: int) -> BadRows:
    bad = BadRows()
    for number in range(count):
        bad.add(f"row {number}", "no pixels")
    return bad


def test_all_rows_are_in_one_error() -> None:
    with raises(InputError, "damaged", "row 0", "row 1", "no pixels", "--skip-bad"):
        rows(2).raise_unless(skip=False)


def test_skipped_or_absent_rows_raise_nothing() -> None:
    rows(2).raise_unless(skip=True)
    rows(0).raise_unless(skip=False)


def test_the_listing_is_limited() -> None:
    assert len(rows(20).listing().splitlines()) == 21
    lines = rows(25).listing().splitlines()
    assert len(lines) == 22
    assert "25" in lines[0]
    assert "5" in lines[-1]
    assert str(rows(1)) == "1 bad row"
