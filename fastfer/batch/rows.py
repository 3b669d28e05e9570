"""Results as encoded rows, and their counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastfer.batch.units import Unit
from fastfer.errors import FastferError
from fastfer.io.addresses import hide_passwords
from fastfer.outputs.table_formats import TableFormat

if TYPE_CHECKING:
    from fastfer.results import PhotoResult, VideoFrameResult

Piece = tuple[str, int, bytes]
"""Partition, number of rows, encoded rows."""


def failed(unit: Unit, error: FastferError) -> PhotoResult:
    """The result of a unit that could not be read."""
    from fastfer.results import PhotoResult

    return PhotoResult(unit.source, None, hide_passwords(str(error)), error.code)


def encode(table: TableFormat, unit: Unit, results: Sequence[Any]) -> Piece:
    """Results of one unit as a piece."""
    data, rows = table.encode(results)
    return unit.partition, rows, data


def encode_photos(table: TableFormat, results: Sequence[tuple[Unit, PhotoResult]]) -> list[Piece]:
    """Results of photos as one piece for each partition."""
    by_partition: dict[str, list[PhotoResult]] = {}
    for unit, result in results:
        by_partition.setdefault(unit.partition, []).append(result)
    pieces = []
    for partition, group in by_partition.items():
        data, rows = table.encode(group)
        pieces.append((partition, rows, data))
    return pieces


def count_unit(counts: Counter[str], unit: Unit, result: PhotoResult) -> None:
    """Add a photo, or a unit that cannot be read, to the counts of a job."""
    if unit.kind != "nothing":
        counts[f"{unit.kind}s"] += 1
    if result.error_code is not None:
        counts[f"error:{result.error_code}"] += 1
    _count_faces(counts, result.result)


def count_frame(counts: Counter[str], result: VideoFrameResult) -> None:
    """Add a frame to the counts of a job."""
    counts["frames"] += 1
    _count_faces(counts, result)


def _count_faces(counts: Counter[str], faces: Any) -> None:
    for face in faces or ():
        counts["faces"] += 1
        counts[f"emotion:{face.emotion or 'none'}"] += 1
