"""Class priors: names, mappings, files, and Bayes' rule."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastfer.errors import UsageError
from fastfer.labels import EMOTIONS
from fastfer.priors import PRIORS, prior_shares, read_prior, reweighted
from tests.helpers.errors import raises

COUNTS = {name: 10 * (i + 1) for i, name in enumerate(EMOTIONS)}
BAD_MAPPINGS = {
    "zero": COUNTS | {"fear": 0},
    "negative": COUNTS | {"fear": -1},
    "nan": COUNTS | {"fear": float("nan")},
    "infinite": COUNTS | {"fear": float("inf")},
    "huge": COUNTS | {"fear": 10**400},
    "tiny": COUNTS | {"fear": 1e-9},
    "text": COUNTS | {"fear": "much"},
    "missing": {name: 1 for name in EMOTIONS if name != "fear"},
    "unknown": COUNTS | {"bored": 1},
    "list": [1] * 7,
    "string": "uniform",
}


def test_shares_sum_to_1() -> None:
    for name in PRIORS:
        assert prior_shares(name).sum() == pytest.approx(1, abs=1e-9)  # type: ignore[arg-type]
    np.testing.assert_allclose(prior_shares("uniform"), 1 / 7, rtol=1e-15)
    np.testing.assert_allclose(prior_shares(COUNTS), np.arange(1, 8) / 28)


def test_networks_of_fewer_classes_take_their_part() -> None:
    labels = ("angry", "happy", "neutral")
    np.testing.assert_allclose(prior_shares(COUNTS, labels), np.array([1, 4, 7]) / 12)
    np.testing.assert_array_equal(prior_shares("level", labels, (0.2, 0.3, 0.5)), [0.2, 0.3, 0.5])


def test_unknown_names() -> None:
    for name in ("equal", "level"):  # "level" is known to networks alone.
        with raises(UsageError, "unknown_prior", repr(name), "uniform"):
            prior_shares(name)  # type: ignore[arg-type]


@pytest.mark.parametrize("table", BAD_MAPPINGS.values(), ids=BAD_MAPPINGS)
def test_bad_mappings_and_files(table: Any, tmp_path: Path) -> None:
    if isinstance(table, Mapping):
        with raises(UsageError, "out_of_range", "fear"):
            prior_shares(table)
    path = tmp_path / "prior.json"
    path.write_text(json.dumps(table))
    with raises(UsageError, "out_of_range", str(path)):
        read_prior(str(path))


def test_names_and_files(tmp_path: Path) -> None:
    assert read_prior("level") == "level"
    assert read_prior("photos") == "photos"
    path = tmp_path / "prior.json"
    path.write_text(json.dumps(COUNTS))
    assert read_prior(str(path)) == COUNTS
    path.write_text("{")
    with raises(UsageError, "out_of_range", str(path)):
        read_prior(str(path))
    with raises(UsageError, "unknown_prior", "absent.json", "uniform"):
        read_prior(str(tmp_path / "absent.json"))


def test_reweighting_is_bayes_rule() -> None:
    rng = np.random.default_rng(0)
    likelihood = rng.random((50, 7))
    old, new = prior_shares("fer2013"), prior_shares("photos")

    def posterior(prior: Any) -> Any:
        rows = likelihood * prior
        return rows / rows.sum(axis=1, keepdims=True)

    found = reweighted(posterior(old).astype(np.float32), (new / old).astype(np.float32))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, posterior(new), atol=1e-6)


@pytest.mark.parametrize("size", [1 << 30, 10 << 20])
def test_a_file_that_is_too_large_is_not_read(size: int, tmp_path: Path) -> None:
    with (tmp_path / "prior.json").open("wb") as file:
        file.truncate(size)
    tracemalloc.start()
    try:
        with raises(UsageError, "out_of_range"):
            read_prior(str(tmp_path / "prior.json"))
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
