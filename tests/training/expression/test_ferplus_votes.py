"""FER+ votes become shares of seven classes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastfer.errors import InputError, UsageError
from fastfer.labels import EMOTIONS
from tests.helpers.drawn_faces import csv_text, row, votes_text
from tests.helpers.errors import raises
from training.expression.data import load_dataset
from training.expression.ferplus_votes import FERPLUS_COLUMNS

FACE = np.full((48, 48), 7, np.uint8)
GOOD = row(0, FACE)


def one_row(tmp_path, usage="Training", **votes):
    faces, votes_file = tmp_path / "a.csv", tmp_path / "v.csv"
    faces.write_text(csv_text({"Training": (FACE[None], np.array([0]))}))
    votes_file.write_text(votes_text([usage], [votes]))
    return load_dataset(faces, votes=votes_file).split("Training").votes[0]


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ({"anger": 6, "neutral": 4}, {"angry": 0.6, "neutral": 0.4}),
        ({"happiness": 8, "fear": 1, "NF": 1}, {"happy": 1.0}),  # a single vote is noise
        ({"sadness": 5, "contempt": 5}, {"sad": 1.0}),  # half is enough
        ({"sadness": 4, "contempt": 6}, {}),
        ({"unknown": 10}, {}),
        ({"surprise": 1, "disgust": 1, "fear": 1}, {}),
        ({}, {}),
    ],
)
def test_votes_become_shares(tmp_path, votes, expected):
    shares = one_row(tmp_path, **votes)
    np.testing.assert_allclose(shares, [expected.get(k, 0) for k in EMOTIONS], rtol=1e-6)


def test_contempt_is_an_eighth_class_on_request(tmp_path):
    path, votes = tmp_path / "a.csv", tmp_path / "v.csv"
    path.write_text(f"emotion,pixels,Usage\n{GOOD}\n")
    votes.write_text(votes_text(["Training"], [{"sadness": 4, "contempt": 6}]))
    source = load_dataset(path, votes=votes, classes=8).split("Training")
    np.testing.assert_allclose(source.votes, [[0, 0, 0, 0, 0.4, 0, 0, 0.6]], rtol=1e-6)


@given(st.lists(st.integers(0, 10), min_size=10, max_size=10))
def test_shares_sum_to_one_or_zero(counts):
    with tempfile.TemporaryDirectory() as folder:
        shares = one_row(Path(folder), **dict(zip(FERPLUS_COLUMNS, counts, strict=True)))
    assert shares.sum() == pytest.approx(1, abs=1e-5) or not shares.any()
    assert (shares >= 0).all()


def test_votes_match_their_faces_when_bad_rows_are_skipped(tmp_path):
    path, votes = tmp_path / "a.csv", tmp_path / "v.csv"
    path.write_text(f"emotion,pixels,Usage\n{GOOD}\n9,1,Training\n3{GOOD[1:]}\n")
    votes.write_text(votes_text(["Training"] * 3, [{"anger": 10}, {"fear": 10}, {"happiness": 10}]))
    source = load_dataset(path, votes=votes, skip_bad=True).split("Training")
    assert [EMOTIONS[k] for k in source.votes.argmax(axis=1)] == ["angry", "happy"]


def test_votes_of_another_file_are_rejected(tmp_path, faces_csv, votes_csv):
    with raises(InputError, "unreadable_input", "row 1 "):
        one_row(tmp_path, usage="PublicTest", anger=10)
    short = tmp_path / "short.csv"
    short.write_text("\n".join(votes_csv.read_text().splitlines()[:100]))
    for path, code in (
        (short, "truncated"), (faces_csv, "unsupported_format"), (tmp_path / "none", "not_found"),
    ):  # fmt: skip
        with pytest.raises(InputError) as caught:
            load_dataset(faces_csv, votes=path)
        assert caught.value.code == code
    with raises(UsageError, "usage"):
        load_dataset(tmp_path, votes=votes_csv)
