"""The votes of FER+ (``fer2013new.csv``), row for row with the CSV of FER-2013."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastfer.errors import InputError
from training.expression.fer2013_csv import UNREADABLE, open_text

FERPLUS_COLUMNS = (
    "neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt",
    "unknown", "NF",
)  # fmt: skip
# The FER+ column of each of our classes, in label order; the last is optional.
FERPLUS_ORDER = tuple(
    FERPLUS_COLUMNS.index(c)
    for c in (
        *("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"),
        "contempt",
    )
)


def read_votes(
    path: Path, faces: Mapping[str, Any], *, contempt: bool = False
) -> NDArray[np.float32]:
    """Shares of the votes (n, 7) for the faces of a parsed CSV; (n, 8) with ``contempt``.

    Single votes for a class are noise (Barsoum et al., ICPR 2016) and dropped, as are votes for
    unknown and not-a-face, and without ``contempt`` those for it. A row with fewer than half of its
    votes left is all zeros.

    Raises:
        InputError: ``path`` is not FER+ votes, or does not match the rows of ``faces``.
    """
    try:
        with open_text(path) as text:
            reader = csv.reader(text)
            header = [h.strip() for h in next(reader, [])]
            columns = [header.index(c) for c in FERPLUS_COLUMNS]
            i_usage = header.index("Usage")
            lines = list(filter(None, reader))
            table = np.array([[int(line[c]) for c in columns] for line in lines], np.int64)
            usage = [line[i_usage].strip() for line in lines]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file", code="not_found") from None
    except UNREADABLE as e:
        raise InputError(f"{path}: cannot be read: {e}", code="damaged") from e
    except (ValueError, IndexError) as e:
        raise InputError(
            f"{path}: not FER+ votes: {e}; expected {', '.join(('Usage', *FERPLUS_COLUMNS))}",
            code="unsupported_format",
        ) from e
    rows, n_rows = faces["row"], int(faces["rows"])
    if len(table) < n_rows:
        raise InputError(
            f"{path}: {len(table)} rows of votes for {n_rows} rows of faces", code="truncated"
        )
    for row, expected in zip(rows.tolist(), faces["usage"].tolist(), strict=True):
        if faces["has_usage"] and usage[row] != expected:
            raise InputError(
                f"{path}: row {row + 1} has Usage {usage[row]!r}, but the face has {expected!r}; "
                "the votes are of another file or in another order"
            )
    counts = table[rows]
    total = counts.sum(axis=1)
    order = FERPLUS_ORDER if contempt else FERPLUS_ORDER[:-1]
    counts = np.where(counts > 1, counts, 0)[:, order].astype(np.float32)
    kept = counts.sum(axis=1)
    usable = (kept * 2 >= total) & (kept > 0)
    shares = counts / np.maximum(kept, 1)[:, None]
    return np.where(usable[:, None], shares, 0).astype(np.float32)
