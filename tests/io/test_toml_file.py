"""TOML files: what is none, and what would take time and memory without end."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastfer.errors import UsageError
from fastfer.io.toml_file import MAX_DOTS, parse_toml, read_text
from tests.helpers.errors import raises
from tests.helpers.markers import requires_posix


def test_values() -> None:
    text = f"a = 1\n[b]\nc.d = ['x']\n# {'.' * 1000}\ne = 1.5\n"
    assert parse_toml(text) == {"a": 1, "b": {"c": {"d": ["x"]}, "e": 1.5}}
    assert parse_toml(f"a{'.a' * MAX_DOTS} = 1")


@pytest.mark.parametrize(
    "text",
    [
        "[a",
        "a = 1\na = 2",
        f"a = {'[' * 100_000}",
        f"a = {'9' * 100_000}",
        f"a{'.a' * 100_000} = 1",
        f'"\u2028"{".a" * 100_000} = 1',
    ],
)
def test_text_that_is_no_toml(text: str) -> None:
    with raises(UsageError, "usage"):
        parse_toml(text)


def test_files(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    with raises(UsageError, "not_found"):
        read_text(file)
    file.write_text("é = 1", encoding="utf-8")
    assert read_text(file) == "é = 1"
    for data in (b"#\n" * 600_000, b"\xff"):
        file.write_bytes(data)
        with raises(UsageError, "usage"):
            read_text(file)
    with raises(UsageError, "usage"):
        read_text(tmp_path)


@requires_posix
def test_a_device_without_end() -> None:
    with raises(UsageError, "usage"):
        read_text("/dev/zero")
