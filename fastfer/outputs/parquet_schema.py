"""The columns of a table of faces in Parquet, see ``docs/reference/table.md``.

One row per face, and one row for each photo or frame without a face or with an error. The types are
those that pandas, polars and DuckDB read without a cast. Attributes that were asked for add columns
at the end.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from fastfer.errors import UsageError
from fastfer.labels import AGE_GROUPS, ALL_EMOTIONS, ATTRIBUTES, CONTEMPT, EMOTIONS, GENDERS
from fastfer.outputs.arrow_columns import column, labels
from fastfer.outputs.columns import ColumnGroup

if TYPE_CHECKING:
    import pyarrow

    from fastfer.results import Face, PhotoResult, VideoFrameResult

    Result: TypeAlias = PhotoResult | VideoFrameResult

TABLE_VERSION: Final = 1
"""In the metadata of each file as ``fastfer.table_version``; it increases when a column
changes its meaning."""
VERSION_KEY: Final = b"fastfer.table_version"

LANDMARK_NUMBERS: Final = 10
"""x and y of right eye, left eye, nose, right and left mouth corner."""


def require_pyarrow(user: str) -> Any:
    """The module pyarrow.

    Raises:
        UsageError: it is not installed; code ``missing_package``.
    """
    try:
        import pyarrow
    except ImportError:
        raise UsageError(
            f'{user} needs pyarrow: pip install "fastfer[batch]"', code="missing_package"
        ) from None
    return pyarrow


@cache
def schema(attributes: tuple[ColumnGroup, ...] = ()) -> pyarrow.Schema:
    """The columns and the version of the table of faces with ``attributes``."""
    pa = require_pyarrow("Parquet")
    number, whole, truth = pa.float32(), pa.int32(), pa.bool_()
    label = pa.dictionary(pa.int8(), pa.string())
    columns: dict[ColumnGroup, list[pyarrow.Field]] = {
        "gender": [
            pa.field("perceived_gender", label),
            *(pa.field(name, number) for name in GENDERS),
        ],
        "age": [
            pa.field("age_group", label),
            pa.field("expected_age", number),
            *(pa.field(f"age_{group}", number) for group in AGE_GROUPS),
        ],
        CONTEMPT: [pa.field(CONTEMPT, number)],
    }
    return pa.schema(
        [
            pa.field("source", pa.string(), nullable=False),
            pa.field("frame_index", pa.int64()),
            pa.field("pts", pa.float64()),
            pa.field("width", whole),
            pa.field("height", whole),
            pa.field("face_index", whole),
            pa.field("track_id", pa.int64()),
            *(pa.field(f"box_{name}", number) for name in ("x", "y", "width", "height")),
            pa.field("detection_score", number),
            pa.field("quality", number),
            pa.field("low_quality", truth),
            pa.field("emotion", label),
            pa.field("score", number),
            pa.field("uncertain", truth),
            pa.field("valence", number),
            pa.field("arousal", number),
            *(pa.field(name, number) for name in EMOTIONS),
            pa.field("landmarks", pa.list_(number, LANDMARK_NUMBERS)),
            pa.field("confirmed", truth),
            pa.field("error", pa.string()),
            pa.field("error_code", pa.string()),
            *(field for name in attributes for field in columns[name]),
        ],
        metadata={VERSION_KEY: str(TABLE_VERSION).encode()},
    )


def attributes_in(columns: Iterable[str]) -> tuple[ColumnGroup, ...]:
    """The attributes of a table with these ``columns``, in Parquet or CSV."""
    marks: dict[ColumnGroup, str] = {"gender": "perceived_gender", "age": "age_group"}
    names = set(columns)
    groups: tuple[ColumnGroup, ...] = (*ATTRIBUTES, CONTEMPT)
    return tuple(name for name in groups if marks.get(name, name) in names)


def to_batch(
    results: Iterable[Result], attributes: tuple[ColumnGroup, ...] = ()
) -> pyarrow.RecordBatch:
    """The rows of ``results`` with the columns of :func:`schema`."""
    pa = require_pyarrow("Parquet")
    layout = schema(attributes)
    rows = [row for result in results for row in _rows(result, attributes)]
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(layout)
    arrays = []
    for field, values in zip(layout, columns, strict=True):
        if field.name in _LABELS:
            names = _LABELS[field.name]
            if field.name == "emotion" and CONTEMPT not in attributes:
                names = EMOTIONS
            arrays.append(labels(values, names))
        elif field.name == "landmarks":
            arrays.append(column([_numbers(points) for points in values], field.type))
        else:
            arrays.append(column(values, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=layout)


_LABELS: Final = {
    "emotion": ALL_EMOTIONS,
    "perceived_gender": GENDERS,
    "age_group": AGE_GROUPS,
}
_NO_FACE: Final = (None,) * 23
"""The columns from ``face_index`` to ``confirmed``."""


def _rows(result: Result, attributes: Sequence[ColumnGroup]) -> list[tuple[Any, ...]]:
    from fastfer.results import PhotoResult

    error = code = None
    if isinstance(result, PhotoResult):
        frame: Any = result.result
        head: tuple[Any, ...] = (text(result.source), None, None)
        error, code = result.error, result.error_code
    else:
        frame = result
        head = (text(result.source), result.frame_index, result.pts)
    head += (None, None) if frame is None else (frame.width, frame.height)
    tail = (None if error is None else text(error), code)
    if frame is None or not frame.faces:
        return [(*head, *_NO_FACE, *tail, *(None,) * sum(_WIDTHS[name] for name in attributes))]
    return [
        (*head, index, *_face(face), *tail, *_attributes(face, attributes))
        for index, face in enumerate(frame.faces)
    ]


def _face(face: Face) -> tuple[Any, ...]:
    return (
        face.track_id,
        *face.box,
        face.detection_score,
        face.quality,
        face.low_quality,
        face.emotion,
        face.score,
        face.uncertain,
        face.valence,
        face.arousal,
        *(face.probabilities[name] for name in EMOTIONS),
        face.landmarks,
        face.confirmed,
    )


_WIDTHS: Final[dict[ColumnGroup, int]] = {
    "gender": 1 + len(GENDERS),
    "age": 2 + len(AGE_GROUPS),
    CONTEMPT: 1,
}
"""Number of the columns of an attribute."""


def _attributes(face: Face, attributes: Sequence[ColumnGroup]) -> Iterable[Any]:
    found = face.attributes
    for name in attributes:
        if name == CONTEMPT:
            yield face.probabilities.get(CONTEMPT)
            continue
        shares = None if found is None else getattr(found, name)
        if found is None or shares is None:
            yield from (None,) * _WIDTHS[name]
        elif name == "gender":
            yield from (found.perceived_gender, *shares.values())
        else:
            yield from (found.age_group, found.expected_age, *shares.values())


def _numbers(points: Iterable[Iterable[float]] | None) -> list[float] | None:
    return None if points is None else [number for point in points for number in point]


def text(value: str) -> str:
    """``value`` as valid UTF-8: bytes of file names that are none become ``\\udc80`` and so on."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "backslashreplace").decode()
    return value


def check_version(metadata: dict[bytes, bytes] | None, name: str | os.PathLike[str]) -> None:
    """Check that a Parquet file is a table of this version.

    Raises:
        UsageError: code ``other_schema``.
    """
    found = (metadata or {}).get(VERSION_KEY, b"").decode(errors="replace")
    if found != str(TABLE_VERSION):
        what = f"version {found}" if found else "no table of fastfer"
        raise UsageError(
            f"{name}: {what}; this fastfer reads and writes version {TABLE_VERSION}",
            code="other_schema",
        )
