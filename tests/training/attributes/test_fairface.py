"""Tables and cropped faces of FairFace."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastfer.errors import InputError
from tests.helpers.attribute_faces import write_fairface_tables
from tests.helpers.errors import raises
from training.attributes.fairface import AGES, GENDERS, GROUPS, Faces, read_table


def test_rows_of_a_table(fairface: Path) -> None:
    first, second, _ = read_table(fairface, "val")
    assert first.path == fairface / "fair_face" / "val" / "1.jpg"
    assert (AGES[first.age], GENDERS[first.gender], GROUPS[first.group]) == (
        "30-39", "Female", "White",
    )  # fmt: skip
    # A spreadsheet made a date of 3-9.
    assert (AGES[second.age], GENDERS[second.gender], GROUPS[second.group]) == (
        "3-9", "Male", "East Asian",
    )  # fmt: skip


@pytest.mark.parametrize("row", ["a.jpg,200,Male,White,True", "a.jpg,3-9,Male,Green,True", "a.jpg"])
def test_unknown_labels_name_the_line(tmp_path: Path, row: str) -> None:
    write_fairface_tables(tmp_path, f"b.jpg,3-9,Male,White,True\n{row}\n")
    with raises(InputError, "unreadable_input", "fairface_label_val.csv:3"):
        read_table(tmp_path, "val")


def test_missing_tables(tmp_path: Path) -> None:
    with raises(InputError, "not_found", "fairface_label_train.csv"):
        read_table(tmp_path, "train")


def test_other_files_are_refused(tmp_path: Path) -> None:
    with raises(InputError, "unreadable_input", "train.npz"):
        Faces.read(tmp_path, "train")
    (tmp_path / "train.npz").write_bytes(b"text")
    with raises(InputError, "unreadable_input", "train.npz"):
        Faces.read(tmp_path, "train")
