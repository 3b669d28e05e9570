"""Columns of Arrow tables: equal to those of pyarrow.array, which imports pandas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyarrow")

import pyarrow as pa

from fastfer.outputs.arrow_columns import column, labels
from tests.helpers.commands import python

VALUES: list[tuple[Any, list[Any]]] = [
    (pa.int8(), [1, -128, 127]),
    (pa.int32(), [0, 2**31 - 1, np.int64(7)]),
    (pa.int64(), [-(2**63), 2**63 - 1]),
    (pa.float32(), [0.1, float("inf"), np.float32(1e-45), -0.0]),
    (pa.float64(), [0.1, float("-inf"), 5]),
    (pa.bool_(), [True, False, np.bool_(True)] * 7),
    (pa.string(), ["", "写真.jpg", "a\0b", r"\udc80"]),
    (pa.list_(pa.float32(), 3), [[1.5, 2.5, 3.5], (0, 1, 2)]),
]


@pytest.mark.parametrize("place", ["none", "first", "last", "all"])
@pytest.mark.parametrize(("kind", "values"), VALUES, ids=[str(kind) for kind, _ in VALUES])
def test_columns_equal_those_of_pyarrow(kind: Any, values: list[Any], place: str) -> None:
    values = {
        "none": values, "first": [None, *values], "last": [*values, None], "all": [None] * 9,
    }[place]  # fmt: skip
    found = column(values, kind)
    found.validate(full=True)
    assert found.equals(pa.array(values, kind))
    assert found.null_count == values.count(None)
    assert column([], kind).equals(pa.array([], kind))


def test_labels() -> None:
    names = ("anger", "fear")
    found = labels(["fear", None, "anger", "fear"], names)
    found.validate(full=True)
    assert found.to_pylist() == ["fear", None, "anger", "fear"]
    assert found.type == pa.dictionary(pa.int8(), pa.string())
    assert found.dictionary.to_pylist() == list(names)


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(OverflowError):
        column([2**31], pa.int32())


CODE = """
import sys
from fastfer.outputs.parquet_schema import to_batch
from fastfer.results import FrameResult, PhotoResult
table = to_batch([PhotoResult("a.jpg", FrameResult((), 64, 48))])
print(table.num_rows, "pandas" in sys.modules)
"""


def test_a_table_is_made_without_pandas() -> None:
    done = python("-c", CODE)
    assert done.stdout == "1 False\n", done.stderr
