"""Checks of argument values: the one place for ranges, kinds and option names.

Each check takes its values by name, so that messages name the argument, and raises
:class:`~fastfer.errors.UsageError` for the first value that fails.
"""

from __future__ import annotations

import ast
import json
import operator
import os
from collections.abc import Callable, Iterable
from numbers import Real
from typing import Any, Final

from fastfer.errors import UsageError
from fastfer.labels import ATTRIBUTES, Attribute

HIGHEST: Final = 1_000_000
"""Default upper limit of counts and of sizes in pixels; larger values are typos."""


def check_range(**values: tuple[Any, float] | tuple[Any, float, float]) -> None:
    """Require that each ``name=(value, low)`` or ``name=(value, low, high)`` is a number in range.

    ``high`` defaults to :data:`HIGHEST`; both limits are allowed values.

    Raises:
        UsageError: code ``out_of_range``.
    """
    for name, (value, low, *rest) in values.items():
        high = rest[0] if rest else HIGHEST
        if not (is_number(value) and low <= value <= high):
            limits = f"{low:g} to {high:,}" if rest else _limits(low, value)
            raise _out_of_range(name, f"a number, {limits}", value)


def check_integer(**values: tuple[Any, int] | tuple[Any, int, int]) -> None:
    """As :func:`check_range` for integers; a float is refused even if it is integral.

    Raises:
        UsageError: code ``out_of_range``.
    """
    for name, (value, low, *rest) in values.items():
        high = rest[0] if rest else HIGHEST
        if not (is_integer(value) and low <= value <= high):
            limits = f"{low} to {high:,}" if rest else _limits(low, value)
            raise _out_of_range(name, f"an integer, {limits}", value)


def check_unit_interval(**values: Any) -> None:
    """Require that each ``name=value`` is a number from 0 to 1.

    Raises:
        UsageError: code ``out_of_range``.
    """
    for name, value in values.items():
        if not (is_number(value) and 0 <= value <= 1):
            raise _out_of_range(name, "a number, 0 to 1", value)


def check_positive(**values: Any) -> None:
    """Require that each ``name=value`` is a number above 0; infinity is allowed.

    Raises:
        UsageError: code ``out_of_range``.
    """
    for name, value in values.items():
        if not (is_number(value) and value > 0):
            raise _out_of_range(name, "a number above 0", value)


def check_choice(**values: tuple[Any, Iterable[Any]]) -> None:
    """Require that each ``name=(value, choices)`` is one of its choices.

    Raises:
        UsageError: code ``out_of_range``.
    """
    for name, (value, choices) in values.items():
        known = list(choices)
        if value not in known:
            raise _out_of_range(name, " or ".join(map(repr, known)), value)


def check_path(**values: Any) -> None:
    """Require that each ``name=value`` is a path: a string, or an object such as ``pathlib.Path``.

    Raises:
        UsageError: code ``out_of_range``.
    """
    for name, value in values.items():
        try:
            path = os.fspath(value)
        except TypeError:
            path = None
        if not isinstance(path, str):
            raise UsageError(
                f"{name} must be a path; got {type(value).__name__}", code="out_of_range"
            )


def check_type(**values: tuple[Any, type]) -> None:
    """Require that each ``name=(value, type)`` is of that public class.

    Raises:
        UsageError: code ``out_of_range``.
    """
    for name, (value, wanted) in values.items():
        if not isinstance(value, wanted):
            raise UsageError(
                f"{name} must be a fastfer.{wanted.__name__}; got {type(value).__name__}",
                code="out_of_range",
            )


def check_text(**values: Any) -> None:
    """Require that each ``name=value`` is a string of printable characters and not empty.

    Raises:
        UsageError: code ``out_of_range``.
    """
    for name, value in values.items():
        if not (isinstance(value, str) and value and value.isprintable()):
            raise _out_of_range(name, "a text without control characters", value)


def check_flag(**values: Any) -> None:
    """Require that each ``name=value`` is true or false.

    Raises:
        UsageError: code ``out_of_range``.
    """
    for name, value in values.items():
        if not isinstance(value, bool):
            raise _out_of_range(name, "true or false", value)


def check_names(owner: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Require that every option name in ``given`` is in ``known``; ``owner`` is the subject of the
    message.

    Raises:
        UsageError: code ``unknown_option``.
    """
    allowed = list(known)
    unknown = [name for name in given if name not in allowed]
    if unknown:
        raise UsageError(
            f"{owner}: unknown option {', '.join(map(repr, unknown))}; "
            f"choose from {', '.join(allowed)}",
            code="unknown_option",
        )


_TEXT_LIMIT: Final = 1 << 20


def read_small_text(path: str | os.PathLike[str]) -> str:
    """The text of a file that a person wrote, in UTF-8; never more than a little, whatever it is.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no UTF-8, or longer than a mebibyte.
    """
    with open(path, "rb") as file:  # noqa: PTH123
        data = file.read(_TEXT_LIMIT + 1)
    if len(data) > _TEXT_LIMIT:
        raise ValueError(f"more than {_TEXT_LIMIT:,} bytes")
    return data.decode()


def parse_json(text: str) -> Any:
    """The value of ``text``, which came with a file.

    Raises:
        ValueError: no JSON, longer than a mebibyte, nested too deeply, or a number too long.
    """
    return _parse(json.loads, text)


def parse_literal(text: str) -> Any:
    """The same for a literal of Python, as exporters write class names.

    Raises:
        ValueError: no literal, or as :func:`parse_json`.
    """
    return _parse(ast.literal_eval, text)


def _parse(parser: Callable[[str], Any], text: str) -> Any:
    if len(text) > _TEXT_LIMIT:
        raise ValueError(f"{len(text):,} characters")
    try:
        return parser(text)
    except (RecursionError, MemoryError):
        raise ValueError("nested too deeply") from None
    except (SyntaxError, TypeError) as error:
        raise ValueError(str(error)) from None


def is_number(value: object) -> bool:
    """Whether ``value`` is a real number; a string or boolean is not."""
    return isinstance(value, Real) and not isinstance(value, bool)


def is_integer(value: object) -> bool:
    """Whether ``value`` is an integer of Python or NumPy; a boolean is not."""
    try:
        operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return False
    return not isinstance(value, bool)


def _limits(low: float, value: Any) -> str:
    too_large = is_number(value) and value > HIGHEST
    return f"at most {HIGHEST:,}" if too_large else f"{low:g} or more"


def _out_of_range(name: str, wanted: str, value: Any) -> UsageError:
    return UsageError(f"{name} must be {wanted}; got {value!r}", code="out_of_range")


def check_attributes(attributes: Iterable[str] | None) -> tuple[Attribute, ...]:
    """``attributes`` without repetition, in the order of :data:`fastfer.labels.ATTRIBUTES`.

    ``None`` is none.

    Raises:
        UsageError: one is unknown (``unknown_option``).
    """
    if attributes is None:
        return ()
    if isinstance(attributes, str) or not isinstance(attributes, Iterable):
        attributes = [attributes]
    names = list(attributes)
    if unknown := {str(name) for name in names if name not in ATTRIBUTES}:
        raise UsageError(
            f"unknown attribute {', '.join(map(repr, sorted(unknown)))}; choose from "
            f"{', '.join(ATTRIBUTES)}; pass several as a tuple, such as {ATTRIBUTES}",
            code="unknown_option",
        )
    return tuple(name for name in ATTRIBUTES if name in names)


def split_attributes(text: str) -> tuple[Attribute, ...]:
    """Attributes that ``text`` names, separated by commas.

    Raises:
        UsageError: one is unknown, or a name is missing (``unknown_option``).
    """
    names = {name.strip() for name in text.split(",")}
    if not names <= set(ATTRIBUTES):
        shown = text if len(text) <= 40 else f"{text[:40]}..."
        raise UsageError(
            f"{shown!r}: choose from {', '.join(ATTRIBUTES)}, separated by commas",
            code="unknown_option",
        )
    return check_attributes(names)
