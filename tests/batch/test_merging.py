"""Tables that cannot be merged: every damage ends with an error of fastfer."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from fastfer.batch import merge
from fastfer.errors import FastferError, UsageError
from fastfer.labels import ATTRIBUTES
from fastfer.outputs.parquet_schema import schema
from tests.helpers.batch_jobs import photo, rows, run
from tests.helpers.errors import raises


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("t.parquet", b"PAR1xxxxPAR1"),
        ("t.parquet", b""),
        ("t.jsonl", b"[" * 300_000),
        ("t.jsonl", b"null\n5\n"),
        ("t.jsonl", b'{"source": ["a"]}\n'),
        ("t.jsonl", b'{"source": 5}\n'),
        ("t.jsonl", b"\xff\n"),
        ("t.jsonl", b"9" * 10_000),
        ("t.csv", b"source\n\xff\n"),
        ("t.csv", b"source\n" + b"a" * 200_000),
    ],
)
def test_files_that_are_no_tables(name: str, data: bytes, tmp_path: Path) -> None:
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    (tmp_path / name).write_bytes(data)
    out = tmp_path / f"merged-{name}"
    with raises(UsageError, "other_schema", name):
        merge([str(tmp_path / name)], str(out))
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
def test_damaged_tables(suffix: str, tmp_path: Path, engine: dict[str, Any]) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    table = tmp_path / f"t{suffix}"
    run([photo(tmp_path / f"{i}.jpg") for i in range(4)], table, engine)
    good, chance = table.read_bytes(), random.Random(3)
    for _ in range(100):
        damaged = bytearray(good)
        for _ in range(chance.choice([1, 10])):
            damaged[chance.randrange(len(good))] = chance.randrange(256)
        table.write_bytes(damaged)
        code = refusal(table, tmp_path / f"merged{suffix}")
        assert code in (None, "other_schema", "would_overwrite")


def refusal(table: Path, out: Path) -> str | None:
    """The code of the error that ends a merge, if one does."""
    try:
        merge([str(table)], str(out), overwrite=True)
    except FastferError as error:
        return error.code
    return None


def test_merge_keeps_the_columns_and_refuses_others(
    photos: list[Path], tmp_path: Path, asking: dict[str, Any], real_engine: dict[str, Any]
) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    for suffix in ("parquet", "csv"):
        first, second, plain = (str(tmp_path / f"{n}.{suffix}") for n in ("1", "2", "plain"))
        run(photos[:1], first, asking)
        run(photos[1:], second, asking)
        run(photos[1:], plain, real_engine)
        out = tmp_path / f"out.{suffix}"
        assert merge([first, second], str(out)) == 2
        if suffix == "parquet":
            assert pq.read_table(out).schema.equals(schema(ATTRIBUTES))
            assert len(rows(out)) == 3
        for pair in ([first, plain], [plain, first]):
            with raises(UsageError, "other_schema"):
                merge(pair, str(tmp_path / f"no.{suffix}"))
        assert not (tmp_path / f"no.{suffix}").exists()
