"""The interface of outputs and its error."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from fastfer.outputs.base import Output, write_error
from fastfer.results import PhotoResult
from tests.helpers.results import FAILED, write_all


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, "disk_full"), (errno.EDQUOT, "disk_full"), (errno.EACCES, "output_failed")],
)
def test_the_code_of_a_write_error(number: int, code: str) -> None:
    error = write_error("a.csv", OSError(number, "reason"))
    assert error.code == code
    assert str(error) == "cannot write a.csv: reason"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    missing = OSError(errno.ENOENT, "reason")
    error = write_error(tmp_path / "out" / "a.csv", missing)
    assert error.code == "output_failed"
    assert repr(str(tmp_path / "out")) in str(error)
    assert str(write_error("the results", missing)) == "cannot write the results: reason"


def test_an_output_defines_only_what_it_needs() -> None:
    class Names(Output[PhotoResult]):
        def __init__(self) -> None:
            self.names: list[str] = []

        def write(self, result: PhotoResult, image: object = None) -> None:
            self.names.append(result.source)

    output = Names()
    write_all(output, [FAILED])
    assert output.names == ["b.jpg"]
