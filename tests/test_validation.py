"""Checks of argument values."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from fastfer.errors import UsageError
from fastfer.labels import ATTRIBUTES
from fastfer.validation import (
    HIGHEST,
    check_attributes,
    check_choice,
    check_integer,
    check_names,
    check_positive,
    check_range,
    check_unit_interval,
    parse_json,
    parse_literal,
    split_attributes,
)
from tests.helpers.errors import raises


@pytest.mark.parametrize(
    ("check", "values"),
    [
        (check_range, [(0, 0), (2.5, 0), (HIGHEST, 1), (np.float32(1), 0, 1), (Fraction(1, 3), 0)]),
        (check_integer, [(1, 1), (np.int64(7), 1, 7), (HIGHEST, 0)]),
        (check_unit_interval, [0, 1, 0.5, np.float64(1)]),
        (check_positive, [1e-9, 3, float("inf")]),
        (check_choice, [("a", ("a", "b")), (1, [1])]),
    ],
)
def test_values_in_range(check: Callable[..., None], values: list[Any]) -> None:
    for value in values:
        check(name=value)


@pytest.mark.parametrize(
    ("check", "values"),
    [
        (check_range, [(-1, 0), ("1", 0), (None, 0), (HIGHEST + 1, 0), (float("nan"), 0)]),
        (check_range, [(2, 0, 1), ([1], 0, 1), (True, 0, 1), (np.True_, 0, 1)]),
        (
            check_integer,
            [(0, 1), (1.0, 1), ("1", 1), (None, 1), (8, 1, 7), (True, 0), (np.True_, 0)],
        ),
        (check_integer, [(True, 0), (np.True_, 0)]),
        (check_unit_interval, [-0.1, 1.1, "0", None, float("nan"), True, np.False_]),
        (check_positive, [0, -1, "1", None, float("nan"), True]),
        (check_choice, [("c", ("a", "b")), ([1], ["a"])]),
    ],
)
def test_values_out_of_range(check: Callable[..., None], values: list[Any]) -> None:
    for value in values:
        with raises(UsageError, "out_of_range", "max_width"):
            check(first=values_in_range(check), max_width=value)


def values_in_range(check: Callable[..., None]) -> Any:
    return {check_range: (1, 0), check_integer: (1, 0), check_choice: (1, [1])}.get(check, 1)


def test_unknown_names_are_in_the_message() -> None:
    check_names("stream", ["smooth"], ["smooth", "detect_every"])
    with raises(UsageError, "unknown_option", "smoth", "detect_every"):
        check_names("stream", ["smooth", "smoth"], ["smooth", "detect_every"])


@pytest.mark.parametrize("parse", [parse_json, parse_literal])
@pytest.mark.parametrize(
    "text", ["", "[", "[" * 200_000, "9" * 5000, "[" + "1," * 600_000 + "1]", "\0", "1 +"]
)
def test_text_of_files_ends_in_a_value_error(parse: Callable[[str], Any], text: str) -> None:
    assert parse("[1, 2]") == [1, 2]
    with pytest.raises(ValueError):
        parse(text)


def test_attributes_are_checked_and_ordered() -> None:
    assert check_attributes(["age", "gender", "age"]) == ATTRIBUTES
    assert check_attributes("age") == ("age",)
    assert check_attributes(()) == check_attributes(None) == ()
    for wrong in (["height"], "gender,age", 3):
        with pytest.raises(UsageError) as caught:
            check_attributes(wrong)  # type: ignore[arg-type]
        assert caught.value.code == "unknown_option"
        assert str(ATTRIBUTES) in str(caught.value)


def test_attributes_in_a_text() -> None:
    assert split_attributes(" age, gender") == ATTRIBUTES
    for wrong in ("", "age,", "race", "€" * 100):
        with pytest.raises(UsageError) as caught:
            split_attributes(wrong)
        assert caught.value.code == "unknown_option"
        assert len(str(caught.value)) < 120
