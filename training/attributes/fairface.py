"""FairFace's tables and photos, and the cropped faces that training and evaluation share.

FairFace (Kärkkäinen and Joo, 2021; CC BY 4.0) has photos of 224 pixels with one labelled face each.
The faces are cropped as :class:`fastfer.Engine` crops them, at the box that the detector finds.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fastfer.errors import InputError

GENDERS: Final = ("Female", "Male")
AGES: Final = (
    "0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70",
)  # fmt: skip
GROUPS: Final = (
    "Black", "East Asian", "Indian", "Latino_Hispanic", "Middle Eastern", "Southeast Asian",
    "White",
)  # fmt: skip
"""Group labels of the data set: read to measure fairness and to even out the training sampling,
never to train an output."""
DAMAGED_AGES: Final = {"03-Sep": "3-9", "Oct-19": "10-19"}
"""Ages that a spreadsheet turned into dates, in some copies of the tables."""
SPLITS: Final = {"train": "fairface_label_train.csv", "val": "fairface_label_val.csv"}

_ADVICE = "--data is a folder of python -m training.attributes.faces"


@dataclass(frozen=True)
class LabelledPhoto:
    """One row of a table; labels are indices of the tuples above."""

    path: Path
    age: int
    gender: int
    group: int


@dataclass(frozen=True)
class Faces:
    """The labelled photos of one split, in the order of its table: N rows."""

    pixels: NDArray[np.uint8]
    """(N, 48, 48) gray crops; zeros where no face was found."""
    found: NDArray[np.bool_]
    """(N,) whether the detector found the labelled face."""
    quality: NDArray[np.float32]
    """(N,) quality scores, 0 where no face was found."""
    age: NDArray[np.int64]
    gender: NDArray[np.int64]
    group: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.found)

    def take(self, rows: NDArray[Any]) -> Faces:
        """The rows of an index or mask."""
        return Faces(*(getattr(self, f.name)[rows] for f in fields(self)))

    @classmethod
    def read(cls, folder: Path, split: str) -> Faces:
        """Read a file of :meth:`write`.

        Raises:
            InputError: it does not exist or holds something else.
        """
        path = folder / f"{split}.npz"
        try:
            with np.load(path) as file:
                return cls(*(file[f.name] for f in fields(cls)))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(f"{path}: {error}; {_ADVICE}") from None

    def write(self, folder: Path, split: str) -> None:
        """Write ``split.npz``, by a temporary name."""
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"{split}.npz.part"
        with part.open("wb") as file:
            np.savez(file, **{f.name: getattr(self, f.name) for f in fields(self)})
        part.replace(folder / f"{split}.npz")


def read_table(folder: Path, split: str) -> list[LabelledPhoto]:
    """The rows of ``fairface_label_train.csv`` or ``fairface_label_val.csv`` in ``folder``, whose
    photos lie in ``train/`` and ``val/`` there or in ``fair_face/``.

    Raises:
        InputError: the table or its folder of photos is missing, or a label is unknown.
    """
    table = folder / SPLITS[split]
    places = [place for place in (folder, folder / "fair_face") if (place / split).is_dir()]
    if not table.is_file() or not places:
        raise InputError(
            f"{folder}: expected {table.name} and a folder {split} with its photos, as in FairFace",
            code="not_found",
        )
    with table.open(newline="", encoding="utf-8") as file:
        return [
            _labelled(places[0], table, number, row)
            for number, row in enumerate(csv.DictReader(file), start=2)
        ]


def _labelled(folder: Path, table: Path, line: int, row: dict[str, str]) -> LabelledPhoto:
    try:
        age = DAMAGED_AGES.get(row["age"], row["age"])
        return LabelledPhoto(
            folder / row["file"],
            _index(AGES, age), _index(GENDERS, row["gender"]), _index(GROUPS, row["race"]),
        )  # fmt: skip
    except (KeyError, ValueError) as error:
        raise InputError(f"{table}:{line}: unknown column or label {error}") from None


def _index(names: Sequence[str], name: str) -> int:
    if name not in names:
        raise ValueError(repr(name))
    return names.index(name)
