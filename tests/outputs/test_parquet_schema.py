"""The columns of tables in Parquet, and rows in them."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip("pyarrow")

import pyarrow as pa

from fastfer.errors import UsageError
from fastfer.labels import ATTRIBUTES, Attribute
from fastfer.outputs.columns import columns
from fastfer.outputs.parquet_schema import (
    VERSION_KEY,
    attributes_in,
    check_version,
    require_pyarrow,
    schema,
    to_batch,
)
from tests.helpers.errors import raises
from tests.helpers.results import FAILED, attributes, frame, photo, photo_face, video_face


@pytest.mark.parametrize("attributes", [(), ("gender",), ("age",), ATTRIBUTES])
def test_the_schema_follows_the_columns_of_csv(attributes: tuple[Attribute, ...]) -> None:
    new = schema(attributes).names[len(schema()) :]
    assert new == list(columns(attributes)[len(columns()) :])
    for name in ("perceived_gender", "age_group"):
        if name in new:
            assert schema(attributes).field(name).type == pa.dictionary(pa.int8(), pa.string())


def test_a_row_for_each_face_and_each_photo_or_frame_without_one() -> None:
    results = [photo("a.jpg", photo_face("sad"), photo_face(None)), photo("\udce9.jpg"), FAILED]
    batch = to_batch([*results, frame(3, video_face(5))], ATTRIBUTES)
    batch.validate(full=True)
    assert batch.schema.equals(schema(ATTRIBUTES))
    rows = batch.to_pylist()
    assert [row["source"] for row in rows] == ["a.jpg", "a.jpg", r"\udce9.jpg", "b.jpg", "clip.mp4"]
    assert [row["face_index"] for row in rows] == [0, 1, None, None, 0]
    assert [row["emotion"] for row in rows] == ["sad", None, None, None, "happy"]
    assert [row["error_code"] for row in rows] == [None, None, None, "empty_file", None]
    assert [row["frame_index"] for row in rows] == [None] * 4 + [3]
    assert {row["age_group"] for row in rows} == {None}  # They have no attributes.
    assert (rows[4]["track_id"], rows[4]["confirmed"], rows[3]["width"]) == (5, True, None)
    assert to_batch([]).num_rows == 0


def test_attributes_are_known_by_their_columns() -> None:
    (row,) = to_batch(
        [photo("a.jpg", photo_face(attributes=attributes("male")))], ("gender",)
    ).to_pylist()
    assert (row["perceived_gender"], row["male"]) == ("male", 0.75)
    for groups in ((), ("gender",), ("age", "contempt"), (*ATTRIBUTES, "contempt")):
        assert attributes_in(schema(groups).names) == groups


def test_other_tables_are_refused() -> None:
    check_version(schema().metadata, "t.parquet")
    for metadata in (None, {}, {VERSION_KEY: b"2"}, {VERSION_KEY: b"\xff"}):
        with raises(UsageError, "other_schema", "t.parquet"):
            check_version(metadata, "t.parquet")


def test_without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with raises(UsageError, "missing_package", "an Analyzer", "fastfer[batch]"):
        require_pyarrow("an Analyzer")
