"""Error classes, exit codes and the stable list of error codes."""

from __future__ import annotations

import ast
import pickle
from pathlib import Path

import pytest

import fastfer
from fastfer import errors

CLASSES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, errors.FastferError)
]


@pytest.mark.parametrize(
    ("kind", "code", "exit_code"),
    [
        (errors.UsageError, "usage", 2),
        (errors.FrameError, "invalid_frame", 2),
        (errors.BoxError, "invalid_box", 2),
        (errors.InputError, "unreadable_input", 3),
        (errors.OutputError, "output_failed", 1),
        (errors.ModelError, "invalid_model", 4),
        (errors.ExtensionMissingError, "extension_missing", 1),
        (errors.PackageMissingError, "missing_package", 1),
    ],
)
def test_default_codes(kind: type[errors.FastferError], code: str, exit_code: int) -> None:
    error = kind("message")
    assert (error.code, error.exit_code, str(error)) == (code, exit_code, "message")


@pytest.mark.parametrize("kind", CLASSES)
def test_code_per_raise_survives_pickling(kind: type[errors.FastferError]) -> None:
    error = pickle.loads(pickle.dumps(kind("message", code="truncated")))
    assert type(error) is kind
    assert (error.code, str(error)) == ("truncated", "message")
    assert kind("message").code == kind.code, "an override must not change the class"


def test_argument_errors_are_value_errors() -> None:
    for kind in (errors.UsageError, errors.FrameError, errors.BoxError):
        assert issubclass(kind, ValueError)
    assert issubclass(errors.ExtensionMissingError, ImportError)
    assert issubclass(errors.PackageMissingError, ImportError)


def test_every_code_in_the_source_is_listed() -> None:
    used = {kind.code for kind in CLASSES}
    for path in Path(fastfer.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "code":
                value = node.value  # Of "a if b else c", b is no code.
                parts = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
                used |= {
                    leaf.value
                    for part in parts
                    for leaf in ast.walk(part)
                    if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str)
                }
    assert used <= errors.CODES.keys()


def test_names_of_any_length_do_not_fill_the_message() -> None:
    error = errors.InputError(f"{'x' * 1_000_000}.jpg: no such file", code="not_found")
    assert len(str(error)) <= errors.MAX_MESSAGE + 10
    assert str(error).startswith("xxx")
    assert str(error).endswith("xxx.jpg: no such file")
    assert errors.shortened("short") == "short"
