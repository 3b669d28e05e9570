"""Read JSON Lines and CSV files back, for tests that compare them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from fastfer.outputs.columns import CSV_COLUMNS, CSV_DTYPES

_PARSERS: dict[str, Any] = {
    "string": str,
    "Int64": int,
    "float64": float,
    "boolean": {"true": True, "false": False}.__getitem__,
}


def rows_of_json_lines(path: Path) -> list[dict[str, Any]]:
    """The table rows of a JSON Lines file, built from its documented keys."""
    rows = []
    for line in path.read_text("utf-8").splitlines():
        record = json.loads(line)
        for index, face in enumerate(record["faces"] or [{}]):
            row = {key: record[key] for key in record.keys() & set(CSV_COLUMNS)}
            row |= {key: face[key] for key in face.keys() & set(CSV_COLUMNS)}
            row |= face.get("probabilities") or {}
            for name, p in (face.get("raw_probabilities") or {}).items():
                row[f"raw_{name}"] = p
            if face:
                row["face_index"] = index
                names = ("box_x", "box_y", "box_width", "box_height")
                row |= dict(zip(names, face["box"], strict=True))
            rows.append({column: row.get(column) for column in CSV_COLUMNS})
    return rows


def rows_of_csv(path: Path) -> list[dict[str, Any]]:
    """The rows of a CSV file with the types of :data:`fastfer.CSV_DTYPES`."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        assert tuple(reader.fieldnames or ()) == CSV_COLUMNS
        return [
            {key: _PARSERS[CSV_DTYPES[key]](cell) if cell else None for key, cell in row.items()}
            for row in reader
        ]


def check_with_pandas(path: Path, expected: list[dict[str, Any]]) -> None:
    """Compare names, dtypes and values of a CSV file read by pandas, if that is installed."""
    pandas = pytest.importorskip("pandas")
    table = pandas.read_csv(path, dtype=CSV_DTYPES)
    assert tuple(table.columns) == CSV_COLUMNS
    for column, dtype in ((name, CSV_DTYPES[name]) for name in CSV_COLUMNS):
        assert table[column].dtype == pandas.api.types.pandas_dtype(dtype), column
    for row, wanted in zip(table.to_dict("records"), expected, strict=True):
        found = {key: None if pandas.isna(value) else value for key, value in row.items()}
        assert found == wanted
        types = {key: type(value) for key, value in wanted.items() if value is not None}
        assert {key: type(found[key]) for key in types} == types
