"""Perceived gender and age group in tables: columns only if asked for, one schema in each table."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyarrow")

import pyarrow as pa
import pyarrow.parquet as pq

from fastfer.batch import Analyzer, merge
from fastfer.errors import UsageError
from fastfer.labels import AGE_GROUPS, ATTRIBUTES, GENDERS, Attribute
from fastfer.outputs.columns import columns
from fastfer.outputs.parquet_schema import schema
from tests.helpers.batch_jobs import photo, rows, run
from tests.helpers.errors import raises


@pytest.fixture
def asking(real_engine: dict[str, Any]) -> dict[str, Any]:
    """With both attributes."""
    return real_engine | {"attributes": ATTRIBUTES}


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Two photos, and a file that is none."""
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 not a photo")
    return [photo(tmp_path / "a.jpg"), photo(tmp_path / "b.jpg"), broken]


@pytest.mark.parametrize("attributes", [(), ("gender",), ("age",), ATTRIBUTES])
def test_the_schema_follows_the_columns_of_csv(attributes: tuple[Attribute, ...]) -> None:
    new = schema(attributes).names[len(schema()) :]
    assert new == list(columns(attributes)[len(columns()) :])
    for name in ("perceived_gender", "age_group"):
        if name in new:
            assert schema(attributes).field(name).type == pa.dictionary(pa.int8(), pa.string())


def test_photos_and_clips_in_each_format(
    photos: list[Path], clip: Path, tmp_path: Path, asking: dict[str, Any]
) -> None:
    found: dict[str, list[tuple[Any, ...]]] = {}
    for suffix in ("parquet", "csv", "jsonl"):
        out = tmp_path / f"t.{suffix}"
        run([*photos, clip], out, asking)
        if suffix == "parquet":
            table = pq.read_table(out)
            assert table.schema.equals(schema(ATTRIBUTES))
            faces = [row for row in rows(out) if row["face_index"] is not None]
            others = [row for row in rows(out) if row["face_index"] is None]
            assert others
            assert {row["age_group"] for row in others} == {None}
            for names in (GENDERS, [f"age_{group}" for group in AGE_GROUPS]):
                shares = np.array([[row[name] for name in names] for row in faces])
                # Each is rounded to four digits.
                assert np.allclose(shares.sum(axis=1), 1, atol=0.5e-4 * len(names) + 1e-6)
        elif suffix == "csv":
            with out.open(encoding="utf-8", newline="") as lines:
                faces = [row for row in csv.DictReader(lines) if row["face_index"]]
        else:
            records = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
            faces = [face["attributes"] for r in records for face in r["faces"] or ()]
        found[suffix] = sorted(
            (row["perceived_gender"], row["age_group"], round(float(row["expected_age"]), 1))
            for row in faces
        )
    assert found["parquet"] == found["csv"] == found["jsonl"]
    assert len(found["csv"]) >= 20


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "folder"])
def test_a_table_of_another_schema_is_refused(
    name: str,
    photos: list[Path],
    tmp_path: Path,
    asking: dict[str, Any],
    real_engine: dict[str, Any],
) -> None:
    out = tmp_path / name
    run(photos[:1], out, real_engine)
    with raises(UsageError, "other_schema", "attributes: none before, now gender, age."):
        run(photos, out, asking)  # Its journal says so.
    journal = out / ".fastfer.journal" if out.is_dir() else Path(f"{out}.journal")
    journal.unlink()
    with raises(UsageError, "other_schema"):
        run(photos, out, asking)  # The table itself does.
    run(photos, out, asking, overwrite=True)
    summary = run(photos, out, asking)
    assert summary.done_before == len(photos)
    assert summary.done_now == 0


def test_merge_keeps_the_columns_and_refuses_others(
    photos: list[Path], tmp_path: Path, asking: dict[str, Any], real_engine: dict[str, Any]
) -> None:
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


def test_analyzer(photos: list[Path], asking: dict[str, Any]) -> None:
    batch = {"path": np.array(list(map(str, photos)))}
    analyzer = Analyzer(**asking)
    assert analyzer.table(batch).schema.equals(schema(ATTRIBUTES))
    found = analyzer(batch)
    assert list(found) == schema(ATTRIBUTES).names
    assert set(found["perceived_gender"][:2]) <= set(GENDERS)
    assert found["age_group"][2] is None
    assert found["expected_age"].dtype == np.float32
    with raises(UsageError, "unknown_option"):
        Analyzer(attributes=["race"])
