"""The callable for clusters: rows equal those of a job, pickles hold no models."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastfer.labels import ATTRIBUTES, GENDERS
from fastfer.outputs.parquet_schema import schema

pytest.importorskip("pyarrow")

import fastfer
from fastfer.batch import Analyzer
from fastfer.errors import UsageError
from tests.helpers.batch_jobs import rows, run
from tests.helpers.errors import raises


def test_paths_and_bytes_give_the_rows_of_a_job(
    album: Path, tmp_path: Path, real_engine: dict[str, Any]
) -> None:
    run([album], tmp_path / "t.parquet", real_engine)
    paths = sorted(map(str, album.rglob("*.jpg")))
    analyzer = Analyzer(**real_engine)
    copy = pickle.loads(pickle.dumps(analyzer))
    contents = np.array([Path(path).read_bytes() for path in paths], object)
    by_path = analyzer({"path": np.array(paths)})
    by_bytes = copy({"path": np.array(paths), "bytes": contents})
    table = rows(tmp_path / "t.parquet")
    for found in (by_path, by_bytes):
        assert list(found["source"]) == [r["source"] for r in table]
        assert list(found["emotion"]) == [r["emotion"] for r in table]
        assert found["happy"].dtype == np.float32
        assert np.array_equal(
            found["happy"], np.array([r["happy"] for r in table], np.float32), equal_nan=True
        )
        assert set(found["error_code"]) == {None, "truncated"}
    loaded = analyzer._runner
    analyzer({"path": np.array(paths[:1])})
    assert analyzer._runner is loaded
    assert len(pickle.dumps(analyzer)) < 2000


def test_batches_without_photos(real_engine: dict[str, Any]) -> None:
    analyzer = Analyzer(**real_engine)
    assert len(analyzer({"path": np.array([], str)})["source"]) == 0
    with raises(UsageError, "usage"):
        analyzer({"image": np.zeros((1, 8, 8, 3), np.uint8)})


@pytest.mark.parametrize(
    "batch",
    [["a.jpg"], None, {"path": None}, {"path": np.array("x")}, {"path": "a.jpg"}, {5: []},
     {"bytes": [b""], "path": ["a", "b"]}, {"bytes": 5}],
)  # fmt: skip
def test_what_is_no_batch_is_refused(batch: Any, engine: dict[str, Any]) -> None:
    with raises(UsageError, "usage"):
        Analyzer(**engine)(batch)


def test_what_is_no_file_is_a_row(engine: dict[str, Any]) -> None:
    contents = [b"", None, 10**12, "x", float("nan"), 1.5]
    batch = {"bytes": contents, "path": [*"abc", None, 5, "\ud800"]}
    found = Analyzer(**engine).results(batch)
    assert len(found) == 6
    assert all(result.error for result in found)


def test_arguments_that_an_engine_lacks_are_refused() -> None:
    for name in ("threads", "max_bytes"):
        with raises(UsageError, "unknown_option", name):
            Analyzer(**{name: 2})
    with raises(UsageError, "out_of_range", "fastfer.FileLimits; got int"):
        Analyzer(limits=5)  # type: ignore[arg-type]


def test_a_classifier_object(album: Path) -> None:
    rows = Analyzer(model=fastfer.EmotionClassifier())({"path": [str(next(album.rglob("*.jpg")))]})
    assert len(rows["source"]) == 1


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
