"""FER-2013 in the shapes people have it: the Kaggle CSV, image folders, FER+ votes.

A :class:`FaceSource` hands out uint8 faces (n, 48, 48) by index, so that training need not know
whether they lie in memory (CSV, 83 MB) or are read from disk batch by batch (folders).
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import lzma
import os
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from fastfer.errors import InputError, UsageError
from fastfer.labels import EMOTIONS

SIDE = 48
FIVE_CLASSES = ("angry", "happy", "sad", "surprise", "neutral")
CLASSES: Mapping[int, tuple[str, ...]] = {7: EMOTIONS, 5: FIVE_CLASSES}
TRAIN_SPLITS = ("Training", "train")
TRAINING = "training"  # in reports, whatever the data calls it
VALIDATION_SPLITS = ("PublicTest", "validation", "val", "test")
# What a row's Usage may be; a split by any other name would be looked for by nobody.
USAGES = (*TRAIN_SPLITS, *VALIDATION_SPLITS, "PrivateTest")
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}
# What folders of the field call the classes, beside our own names.
FOLDER_ALIASES = {
    "anger": "angry", "disgusted": "disgust", "fearful": "fear", "afraid": "fear",
    "happiness": "happy", "sadness": "sad", "surprised": "surprise",
}  # fmt: skip
FERPLUS_COLUMNS = (
    "neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt",
    "unknown", "NF",
)  # fmt: skip
# The FER+ column of each of our classes, in label order.
FERPLUS_ORDER = tuple(
    FERPLUS_COLUMNS.index(c)
    for c in ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
)
# Which of several tables in a .zip is FER-2013.
KNOWN_TABLES = ("fer2013.csv", "icml_face_data.csv")
READ_CHUNK = 256


class FaceSource(Protocol):
    """Labelled faces that can be loaded by index."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,) class numbers."""
        ...

    @property
    def votes(self) -> NDArray[np.float32] | None:
        """(N, classes) shares of the crowd's votes, a row of zeros where too few voted; or None."""
        ...

    def __len__(self) -> int: ...

    def load(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Faces (n, 48, 48)."""
        ...

    def where(self, index: int) -> str:
        """The line or path that the face came from."""
        ...


@dataclass(frozen=True)
class ArraySource:
    """Faces in memory."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    votes: NDArray[np.float32] | None
    lines: NDArray[np.int64]
    path: Path

    def __len__(self) -> int:
        return len(self.labels)

    def load(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        return self.images[indices]

    def where(self, index: int) -> str:
        return f"{self.path}:{self.lines[index]}"


@dataclass(frozen=True)
class FolderSource:
    """Image files, read when asked for."""

    paths: Sequence[Path]
    labels: NDArray[np.int64]
    votes: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def load(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        return np.stack([read_face(self.paths[i]) for i in indices])

    def where(self, index: int) -> str:
        return str(self.paths[index])


@dataclass(frozen=True)
class Subset:
    """Some faces of another source, their classes renumbered by ``classes``."""

    source: FaceSource
    indices: NDArray[np.int64]
    labels: NDArray[np.int64]
    votes: NDArray[np.float32] | None

    def __len__(self) -> int:
        return len(self.indices)

    def load(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        return self.source.load(self.indices[indices])

    def where(self, index: int) -> str:
        return self.source.where(int(self.indices[index]))


@dataclass
class BadRows:
    """What was wrong in the data: collected, then either told as one error or skipped."""

    found: list[str] = field(default_factory=list)

    def add(self, where: str, what: str) -> None:
        self.found.append(f"{where}: {what}")

    def settle(self, skip: bool) -> None:
        """Raise InputError naming the rows, unless they may be skipped."""
        if self.found and not skip:
            raise InputError(f"{self.listing()}\nMend them, or pass --skip-bad.")

    def listing(self) -> str:
        """How many there are, and the first 20 of them, a line each."""
        shown = "\n  ".join(self.found[:20])
        more = f"\n  ... and {len(self.found) - 20} more" if len(self.found) > 20 else ""
        return f"{self}:\n  {shown}{more}"

    def __str__(self) -> str:
        return f"{len(self.found)} bad row{'' if len(self.found) == 1 else 's'}"


@dataclass(frozen=True)
class Dataset:
    """Named splits of one data set."""

    splits: Mapping[str, FaceSource]
    classes: tuple[str, ...]
    bad: BadRows

    def split(self, name: str) -> FaceSource:
        """The split called ``name``; UsageError names those that exist."""
        if name not in self.splits:
            raise UsageError(f"no split {name!r} in the data; it has {', '.join(self.splits)}")
        return self._filled(name)

    @property
    def training(self) -> str | None:
        """Name of the split that is there to train on, if the data has one."""
        return next((name for name in TRAIN_SPLITS if name in self.splits), None)

    @property
    def validation(self) -> str | None:
        """Name of the split that is there to validate on, if the data has one."""
        return next((name for name in VALIDATION_SPLITS if name in self.splits), None)

    def training_and_validation(
        self, val_fraction: float | None = None, seed: int = 0
    ) -> tuple[FaceSource, FaceSource]:
        """Splits as the data names them, or a stratified share of the training faces."""
        train = self._first(TRAIN_SPLITS, "training")
        if val_fraction is None:
            advice = " Where there is none, train with --split fraction."
            return train, self._first(VALIDATION_SPLITS, "validation", advice)
        check_fraction(val_fraction)
        rng = np.random.default_rng(seed)
        held: list[NDArray[np.int64]] = []
        for label in range(len(self.classes)):
            members = np.flatnonzero(train.labels == label)
            held.append(rng.permutation(members)[: round(len(members) * val_fraction)])
        val = np.sort(np.concatenate(held))
        rest = np.setdiff1d(np.arange(len(train)), val)
        if not len(val) or not len(rest):
            raise UsageError(
                f"--val-fraction: a share of {val_fraction} of {len(train)} training faces "
                f"{'leaves none to train on' if len(val) else 'holds none out'}"
            )
        return take(train, rest), take(train, val)

    def judges(self, held_out: FaceSource | None) -> dict[str, FaceSource]:
        """The parts that a network is measured on, now or later, by name: all that the data has
        beside training, and what was held out of that."""
        own = {n: source for n, source in self.splits.items() if n not in TRAIN_SPLITS}
        return own if held_out is None else {"the held-out faces": held_out, **own}

    def _first(self, names: Sequence[str], role: str, advice: str = "") -> FaceSource:
        for name in names:
            if name in self.splits:
                return self._filled(name)
        raise UsageError(
            f"the data has no {role} split (one of {', '.join(names)}); it has "
            f"{', '.join(self.splits)}.{advice}"
        )

    def _filled(self, name: str) -> FaceSource:
        if not len(self.splits[name]):
            raise InputError(f"the split {name!r} holds no faces of {', '.join(self.classes)}")
        return self.splits[name]


def check_fraction(share: float) -> None:
    """UsageError unless ``share`` can be a --val-fraction."""
    if not 0 < share < 1:
        raise UsageError(f"--val-fraction must lie between 0 and 1, got {share}")


def take(source: FaceSource, indices: NDArray[np.int64]) -> Subset:
    """The faces at ``indices`` as a source of their own."""
    votes = None if source.votes is None else source.votes[indices]
    return Subset(source, indices, source.labels[indices], votes)


def as_batch(faces: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Faces (n, 48, 48) as a network reads them: (n, 48, 48, 1) in [0, 1]."""
    return (faces.astype(np.float32) / np.float32(255))[..., None]


def load_dataset(
    path: str | Path,
    *,
    votes: str | Path | None = None,
    classes: int = 7,
    skip_bad: bool = False,
) -> Dataset:
    """Read FER-2013 from a CSV file or an image folder.

    Args:
        path: Kaggle CSV (plain, .gz, .xz, .zip) or a folder with ``train/<emotion>/*``.
        votes: FER+ ``fer2013new.csv``, row for row with the CSV.
        classes: 7, or 5 for angry, happy, sad, surprise, neutral.
        skip_bad: leave bad rows out instead of raising.

    Raises:
        InputError: the data is missing or unreadable, or has bad rows.
        UsageError: votes for a folder, or a number of classes other than 5 and 7.
    """
    path = Path(path)
    if classes not in CLASSES:
        raise UsageError(f"--classes is 5 or 7, got {classes}")
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; see training/README.md for the data")
    bad = BadRows()
    splits: Mapping[str, FaceSource]
    if path.is_dir():
        if votes is not None:
            raise UsageError("FER+ votes match the rows of the CSV; a folder has no rows")
        splits = _read_folders(path, bad)
    else:
        splits = _read_csv_cached(path, None if votes is None else Path(votes), bad)
    bad.settle(skip_bad)
    names = CLASSES[classes]
    if names != EMOTIONS:
        splits = {name: _restrict(s, names) for name, s in splits.items()}
    return Dataset(splits, names, bad)


def class_counts(source: FaceSource, classes: Sequence[str]) -> dict[str, int]:
    """Number of faces by class name."""
    counts = np.bincount(source.labels, minlength=len(classes))
    return {name: int(n) for name, n in zip(classes, counts, strict=True)}


def balanced_weights(source: FaceSource, n_classes: int) -> NDArray[np.float32]:
    """(classes,) weights inverse to the class counts, of mean 1 over the faces."""
    counts = np.bincount(source.labels, minlength=n_classes)
    return (len(source) / (n_classes * np.maximum(counts, 1))).astype(np.float32)


def straddling_duplicates(
    train: FaceSource, others: Mapping[str, FaceSource]
) -> list[dict[str, list[str]]]:
    """Pixel-identical faces of ``train`` and of other parts.

    Returns:
        for each picture its places by part, that of ``train`` being called ``"training"``.
    """
    parts = {TRAINING: train, **others}
    seen: dict[bytes, dict[str, list[int]]] = {}
    for name, source in parts.items():
        for index, face in _faces(source):
            digest = hashlib.blake2b(face.tobytes(), digest_size=16).digest()
            # Training comes first: what it does not hold is of no interest.
            if name == TRAINING or digest in seen:
                seen.setdefault(digest, {}).setdefault(name, []).append(index)
    return [
        {name: [parts[name].where(index) for index in places] for name, places in group.items()}
        for group in seen.values()
        if len(group) > 1
    ]


def read_face(path: Path) -> NDArray[np.uint8]:
    """One image file as a gray face (48, 48), through the engine that serves it in use.

    The whole picture is the face: one that is not square is squeezed to a square.

    Raises:
        InputError: the file is not an image that OpenCV reads.
    """
    import cv2

    # Read by NumPy, so that any path will do on Windows too.
    content = np.fromfile(path, np.uint8)
    image = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
    if image is None:
        raise InputError(f"{path}: not a readable image")
    from fastfer.kernels.pack import pack_faces

    height, width = image.shape[:2]
    packed = pack_faces(
        np.asarray(image, np.uint8), np.array([[0, 0, width, height]]), size=SIDE, scale=1.0
    )
    return np.rint(packed[0, :, :, 0]).astype(np.uint8)


def _faces(source: FaceSource) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    for start in range(0, len(source), READ_CHUNK):
        indices = np.arange(start, min(start + READ_CHUNK, len(source)))
        yield from zip(indices.tolist(), source.load(indices), strict=True)


def _restrict(source: FaceSource, names: Sequence[str]) -> Subset:
    keep = [EMOTIONS.index(n) for n in names]
    indices = np.flatnonzero(np.isin(source.labels, keep))
    number = np.full(len(EMOTIONS), -1)
    number[keep] = np.arange(len(keep))
    votes = source.votes
    if votes is not None:
        votes = votes[indices][:, keep]
        total = votes.sum(axis=1, keepdims=True)
        votes = np.divide(votes, total, out=np.zeros_like(votes), where=total > 0)
    return Subset(source, indices, number[source.labels[indices]], votes)


# --- image folders -------------------------------------------------------------------------------


def _read_folders(root: Path, bad: BadRows) -> dict[str, FaceSource]:
    splits: dict[str, FaceSource] = {}
    for folder in sorted(p for p in root.iterdir() if p.is_dir()):
        if folder.name not in (*TRAIN_SPLITS, *VALIDATION_SPLITS):
            continue
        paths: list[Path] = []
        labels: list[int] = []
        for emotion in sorted(p for p in folder.iterdir() if p.is_dir()):
            name = FOLDER_ALIASES.get(emotion.name.lower(), emotion.name.lower())
            if name not in EMOTIONS:
                bad.add(str(emotion), f"unknown label {emotion.name!r}")
                continue
            for file in sorted(emotion.iterdir()):
                if file.suffix.lower() not in IMAGE_SUFFIXES:
                    continue
                try:
                    read_face(file)
                except InputError:
                    bad.add(str(file), "not a readable image")
                    continue
                paths.append(file)
                labels.append(EMOTIONS.index(name))
        splits[folder.name] = FolderSource(paths, np.array(labels, np.int64))
    if not any(len(s) for s in splits.values()) and not bad.found:
        raise InputError(
            f"{root}: no faces found. Expected train/<emotion>/*.jpg with test/ or validation/ "
            f"beside it, emotions being {', '.join(EMOTIONS)}."
        )
    return splits


# --- CSV -----------------------------------------------------------------------------------------


def cache_dir() -> Path:
    """Where parsed data is kept: ``FASTFER_HOME``, else the user's cache folder."""
    home = os.environ.get("FASTFER_HOME")
    base = Path(home) if home else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return base / ("training" if home else "fastfer/training")


def _read_csv_cached(path: Path, votes: Path | None, bad: BadRows) -> dict[str, FaceSource]:
    stat = path.stat()
    key = f"3|{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}"
    cached = cache_dir() / (hashlib.blake2b(key.encode(), digest_size=12).hexdigest() + ".npz")
    table = _read_cache(cached)
    if table is None:
        table = _parse_csv(path, bad)
        if not bad.found:
            _write_cache(cached, table)
    shares = None if votes is None else _read_votes(votes, table)
    splits: dict[str, FaceSource] = {}
    for usage in dict.fromkeys(table["usage"].tolist()):
        members = np.flatnonzero(table["usage"] == usage)
        splits[usage] = ArraySource(
            table["images"][members],
            table["labels"][members],
            None if shares is None else shares[members],
            table["line"][members],
            path,
        )
    return splits


def _read_cache(source: Path) -> dict[str, Any] | None:
    try:
        with np.load(source) as f:
            return {name: f[name] for name in f.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
        return None  # Absent, or cut short by a full disk: parse again.


def _write_cache(target: Path, table: dict[str, Any]) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(f".{os.getpid()}.part")
        with part.open("wb") as f:
            np.savez(f, **table)
        part.replace(target)
    except OSError:
        return  # A cache that cannot be written costs seconds, nothing else.


UNREADABLE = (
    OSError, EOFError, UnicodeDecodeError, csv.Error, lzma.LZMAError, zlib.error,
    zipfile.BadZipFile, RuntimeError,  # an encrypted .zip
)  # fmt: skip


def _open_text(path: Path) -> IO[str]:
    raw: IO[bytes]
    match path.suffix.lower():
        case ".gz":
            raw = cast(IO[bytes], gzip.open(path))  # noqa: SIM115  (closed by the wrapper)
        case ".xz":
            raw = lzma.open(path)  # noqa: SIM115
        case ".zip":
            archive = zipfile.ZipFile(path)
            raw = archive.open(_table_in(archive, path))
        case _:
            raw = path.open("rb")
    # Some programs begin a file with a byte-order mark.
    return io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")


def _table_in(archive: zipfile.ZipFile, path: Path) -> str:
    """The CSV to read: the only one, or the one that goes by a known name."""
    names = [n for n in archive.namelist() if n.lower().endswith(".csv") and "__MACOSX" not in n]
    known = [n for n in names if Path(n).name in KNOWN_TABLES]
    for candidates in (names, known):
        if len(candidates) == 1:
            return candidates[0]
    raise InputError(
        f"{path}: expected one .csv inside, found {', '.join(names) or 'none'}. Unpack it, and "
        "give the file or the folder with train/<emotion>/*."
    )


def _parse_csv(path: Path, bad: BadRows) -> dict[str, Any]:
    """Faces with their labels, usages, row numbers (blank rows not counted) and line numbers."""
    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    usages: list[str] = []
    rows: list[tuple[int, int]] = []
    n_rows = 0
    try:
        with _open_text(path) as text:
            reader = csv.reader(text)
            header = [h.strip().lower() for h in next(reader, [])]
            if not {"emotion", "pixels"} <= set(header):
                raise InputError(
                    f"{path}: the header is {header}; expected emotion,pixels,Usage as on Kaggle"
                )
            i_label, i_pixels = header.index("emotion"), header.index("pixels")
            i_usage = header.index("usage") if "usage" in header else None
            for row in filter(None, reader):
                problem = _row_problem(row, len(header), i_label, i_usage)
                if not problem:
                    face = _parse_pixels(row[i_pixels])
                    if isinstance(face, str):
                        problem = face
                    else:
                        images.append(face)
                        labels.append(int(row[i_label]))
                        usages.append(row[i_usage].strip() if i_usage is not None else "Training")
                        rows.append((n_rows, reader.line_num))
                if problem:
                    bad.add(f"{path}:{reader.line_num}", problem)
                n_rows += 1
    except UNREADABLE as e:
        raise InputError(f"{path}: cannot be read: {e}") from e
    if not images and not bad.found:
        raise InputError(f"{path}: no rows after the header")
    places = np.array(rows, np.int64).reshape(-1, 2)
    return {
        "images": np.stack(images) if images else np.zeros((0, SIDE, SIDE), np.uint8),
        "labels": np.array(labels, np.int64),
        "usage": np.array(usages, dtype=np.str_),
        "row": places[:, 0],
        "line": places[:, 1],
        "rows": np.int64(n_rows),
        "told_usage": np.bool_(i_usage is not None),
    }


def _row_problem(row: list[str], columns: int, i_label: int, i_usage: int | None) -> str:
    if len(row) != columns:
        return f"{len(row)} columns instead of {columns}"
    label = row[i_label].strip()
    if not label.isdecimal() or int(label) >= len(EMOTIONS):
        return f"unknown label {label!r}, expected 0 to {len(EMOTIONS) - 1}"
    if i_usage is not None and row[i_usage].strip() not in USAGES:
        return f"unknown Usage {row[i_usage].strip()!r}, expected one of {', '.join(USAGES)}"
    return ""


def _parse_pixels(text: str) -> NDArray[np.uint8] | str:
    """The face (48, 48), or what is wrong with the text."""
    try:
        with warnings.catch_warnings():
            # NumPy only warns where text follows the last number it could read.
            warnings.simplefilter("error", DeprecationWarning)
            values = np.fromstring(text, np.int64, sep=" ")
    except (ValueError, DeprecationWarning):
        return "pixels are not all whole numbers"
    if values.size != SIDE * SIDE:
        return f"{values.size} pixels instead of {SIDE * SIDE}"
    if values.min() < 0 or values.max() > 255:
        return f"a pixel of {values.max() if values.max() > 255 else values.min()}, not 0 to 255"
    return values.astype(np.uint8).reshape(SIDE, SIDE)


def _read_votes(path: Path, faces: Mapping[str, Any]) -> NDArray[np.float32]:
    """FER+ shares (n, 7) for the faces of a parsed CSV.

    A single vote for a class is noise (Barsoum et al., ICPR 2016) and dropped; votes for contempt,
    unknown and not-a-face are left out; rows where fewer than half of the votes remain are zeros.
    """
    try:
        with _open_text(path) as text:
            reader = csv.reader(text)
            header = [h.strip() for h in next(reader, [])]
            columns = [header.index(c) for c in FERPLUS_COLUMNS]
            i_usage = header.index("Usage")
            lines = list(filter(None, reader))
            table = np.array([[int(line[c]) for c in columns] for line in lines], np.int64)
            usage = [line[i_usage].strip() for line in lines]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except UNREADABLE as e:
        raise InputError(f"{path}: cannot be read: {e}") from e
    except (ValueError, IndexError) as e:
        raise InputError(
            f"{path}: not FER+ votes ({e}); columns {', '.join(('Usage', *FERPLUS_COLUMNS))} needed"
        ) from e
    rows, n_rows = faces["row"], int(faces["rows"])
    if len(table) < n_rows:
        raise InputError(f"{path}: {len(table)} rows of votes for {n_rows} rows of faces")
    for row, expected in zip(rows.tolist(), faces["usage"].tolist(), strict=True):
        if faces["told_usage"] and usage[row] != expected:
            raise InputError(
                f"{path}: row {row + 1} is of {usage[row]!r}, the face there of {expected!r}; the "
                "votes belong to another file, or its rows are in another order"
            )
    counts = table[rows]
    total = counts.sum(axis=1)
    counts = np.where(counts > 1, counts, 0)[:, FERPLUS_ORDER].astype(np.float32)
    kept = counts.sum(axis=1)
    usable = (kept * 2 >= total) & (kept > 0)
    shares = counts / np.maximum(kept, 1)[:, None]
    return np.where(usable[:, None], shares, 0).astype(np.float32)


def describe(dataset: Dataset) -> str:
    """Class counts of every split as text."""
    lines = []
    for name, source in dataset.splits.items():
        counts = Counter(class_counts(source, dataset.classes))
        parts = ", ".join(f"{k} {v}" for k, v in counts.items())
        voted = (
            "" if source.votes is None else f"; {int(source.votes.any(axis=1).sum())} with votes"
        )
        lines.append(f"{name}: {len(source)} faces ({parts}{voted})")
    if dataset.bad.found:
        lines.append(f"skipped {dataset.bad}, first: {dataset.bad.found[0]}")
    return "\n".join(lines)
