"""The fairness table."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from fastfer import labels as fastfer_labels
from fastfer.classifiers.attributes import ATTRIBUTE_MODEL, AttributeClassifier
from fastfer.classifiers.native import EmotionClassifier
from fastfer.labels import AGE_GROUPS
from fastfer.outputs.columns import JSON_KEYS, columns
from tests.helpers.attribute_faces import random_faces
from training.attributes import fairness
from training.attributes.evaluate import KINDS
from training.attributes.fairface import AGES, GROUPS
from training.expression.robustness import PHOTO_CROPS


@pytest.mark.parametrize("count", range(1, 800, 7))
def test_the_interval_of_none_begins_at_0(count: int) -> None:
    assert fairness.interval(np.zeros(count, bool)).startswith("0.0 (0.0 to ")
    assert fairness.interval(np.ones(count, bool)).endswith(" to 100.0)")


def test_interval_of_a_share() -> None:
    # Wilson's interval of 8 in 10, as in Newcombe (1998): 0.490 to 0.943.
    hits = np.arange(10) < 8
    assert fairness.interval(hits) == "80.0 (49.0 to 94.3)"


def test_mean_with_its_interval() -> None:
    # The standard deviation of 0 and 1 is 0.5: 1.96 * 0.5 / sqrt(100).
    assert fairness.mean(np.arange(100, dtype=np.float32) % 2) == "0.500 ± 0.098"


def test_the_table_has_a_row_for_each_group_with_faces(
    attribute_faces: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fairness.main(["--data", str(attribute_faces)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("| all | 300 | 90.0 (86.1 to 92.9) |")  # 270 of 300 found
    cells = dict(zip(lines[0].split(" | "), lines[2].split(" | "), strict=True))
    assert 0 < float(cells["uncertainty"].split(" ± ")[0]) < 1
    assert any(line.startswith("| East Asian |") for line in lines)
    assert len({line.count("|") for line in lines}) == 1


def test_accuracy_on_labelled_photos_by_apparent_gender_and_age(
    attribute_faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    crops = {name: rng.integers(0, 256, (60, 48, 48), np.uint8) for name in PHOTO_CROPS}
    np.savez(tmp_path / "photos.npz", labels=np.zeros(60, np.int64), **crops)
    words = ["--data", str(attribute_faces), "--photos", str(tmp_path / "photos.npz")]
    assert fairness.main(words) == 0
    _, table = capsys.readouterr().out.split("| press photos |")
    rows = [line.split(" | ") for line in table.splitlines()[2:]]
    mixes = {f"{name}, same mix" for name in fastfer_labels.GENDERS}
    assert {row[0].strip("| ") for row in rows} <= {*fastfer_labels.GENDERS, *AGE_GROUPS, *mixes}
    assert all(int(row[1]) >= fairness.FEW and len(row) == 2 + len(PHOTO_CROPS) for row in rows)


def test_accuracy_at_the_same_mix_of_emotions() -> None:
    """30 photos of the first emotion, 10 of each gender or more; 20 of the second likewise."""
    labels = np.repeat([0, 1, 2], [30, 20, 12])
    women = np.concatenate([np.arange(30) < 10, np.arange(20) < 10, np.arange(12) < 9])
    hits = np.ones(62, bool)
    hits[:5] = False  # Half of the women of the first emotion
    hits[50:] = False  # Only three men show the third emotion: it is left out.
    groups = 1 - women.astype(int)
    # 0.6 * 0.5 + 0.4 * 1; the deviation is 0.6 * sqrt(0.5 * 0.5 / 10) = 0.0949.
    assert fairness.same_mix(hits, labels, groups, 0) == "70.0 (51.4 to 88.6)"
    assert fairness.same_mix(hits, labels, groups, 1) == "100.0 (100.0 to 100.0)"
    assert fairness.same_mix(hits[50:], labels[50:], groups[50:], 0) == ""


def test_the_card_has_the_table_of_this_version() -> None:
    """Each group, gender and age has its row, in figures and fairness; aims by group are met."""
    card = (ATTRIBUTE_MODEL.parent / "attributes.md").read_text(encoding="utf-8")
    faces = random_faces(300)
    head = fairness.of_faces(faces, EmotionClassifier(threads=1)).splitlines()[0]
    accuracy, table = card.split(head)
    for names in KINDS.values():
        for name in names:
            row = f"\n| {name.replace('_', ' ')} |"
            assert row in accuracy, row
            assert row in table, row
    row = r"^\| ([\w -]+) \| \d+ \| ([\d.]+) % \| [\d.]+ % \| ([\d.]+) %"
    found = re.findall(row, accuracy, re.M)
    shares = {name: (float(gender), float(near)) for name, gender, near in found}
    assert shares["all"][0] >= 90
    assert shares["all"][1] >= 85
    assert all(shares[name.replace("_", " ")][0] >= 85 for name in GROUPS)
    first = next(name for name in AGES if shares[name][1] < 85)
    assert f"age over {first.split('-')[0]})" in accuracy  # the exceptions that the text names


def test_no_output_tells_a_race() -> None:
    """The groups of FairFace measure fairness; no label, column, key or network knows them."""
    network = AttributeClassifier(threads=1)
    outputs = {node.name for node in network._session.outputs}
    assert outputs == {"gender", "age"} == set(fastfer_labels.ATTRIBUTES)
    names = {*columns((*fastfer_labels.ATTRIBUTES, "contempt")), *JSON_KEYS, *outputs}
    names |= {*fastfer_labels.GENDERS, *AGE_GROUPS, *network._session.metadata.values()}
    words = {word for name in names for word in re.split(r"[^a-z]+", name.lower())}
    assert not words & {"race", "ethnicity", *(p.lower() for g in GROUPS for p in g.split())}
