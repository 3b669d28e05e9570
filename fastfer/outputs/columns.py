"""How a result becomes a JSON object or table rows, schema version 2.

Photos and videos share all keys and columns; what does not apply is null. Neither holds timings, so
that the same input produces the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, Literal

from fastfer.labels import AGE_GROUPS, EMOTIONS, GENDERS, Attribute

if TYPE_CHECKING:
    from fastfer.results import FrameResult, PhotoResult

ColumnGroup = Attribute | Literal["contempt"]
"""Columns that not every table has."""

JSON_KEYS: Final = (
    *("schema", "source", "frame_index", "pts", "width", "height", "detector", "detected"),
    *("faces", "error", "error_code", "warning", "saved_as", "rotation"),
)
"""Keys of the JSON object of a photo or video frame."""

_DTYPES: Final[dict[str, str]] = {
    "source": "string",
    "frame_index": "Int64",
    "pts": "float64",
    "width": "Int64",
    "height": "Int64",
    "face_index": "Int64",
    "track_id": "Int64",
    "box_x": "float64",
    "box_y": "float64",
    "box_width": "float64",
    "box_height": "float64",
    "detection_score": "float64",
    "quality": "float64",
    "low_quality": "boolean",
    "emotion": "string",
    "score": "float64",
    "uncertain": "boolean",
    "valence": "float64",
    "arousal": "float64",
    **dict.fromkeys(EMOTIONS, "float64"),
    **{f"raw_{emotion}": "float64" for emotion in EMOTIONS},
    "status": "string",
    "classified": "boolean",
    "confirmed": "boolean",
    "error": "string",
    "error_code": "string",
    "warning": "string",
    "saved_as": "string",
    "rotation": "Int64",
}

CSV_COLUMNS: Final = tuple(_DTYPES)
"""Columns of a table of faces, of photos and videos alike."""

_GROUP_DTYPES: Final[dict[ColumnGroup, dict[str, str]]] = {
    "gender": {"perceived_gender": "string", **dict.fromkeys(GENDERS, "float64")},
    "age": {
        "age_group": "string",
        "expected_age": "float64",
        **{f"age_{group}": "float64" for group in AGE_GROUPS},
    },
    "contempt": {"contempt": "float64", "raw_contempt": "float64"},
}

CSV_DTYPES: Final[dict[str, str]] = {
    name: dtype for part in (_DTYPES, *_GROUP_DTYPES.values()) for name, dtype in part.items()
}
"""Pandas dtype of each column, those of attributes and contempt included:
``pandas.read_csv(path, dtype=fastfer.CSV_DTYPES)``."""


def to_record(result: FrameResult | PhotoResult) -> dict[str, Any]:
    """The JSON object of a photo or video frame: native types, keys :data:`JSON_KEYS`."""
    values = result.to_dict()
    return {key: values.get(key) for key in JSON_KEYS}


def columns(attributes: Iterable[ColumnGroup] = ()) -> tuple[str, ...]:
    """:data:`CSV_COLUMNS`, followed by those of ``attributes``."""
    return (*CSV_COLUMNS, *(name for key in attributes for name in _GROUP_DTYPES[key]))


def to_rows(
    result: FrameResult | PhotoResult, attributes: Iterable[ColumnGroup] = ()
) -> Iterator[dict[str, Any]]:
    """One row per face, or one row for a photo or frame without a face.

    Rows are dictionaries of native types with the keys of :func:`columns`, in this order.
    """
    names = columns(attributes)
    record = to_record(result)
    for index, face in enumerate(record["faces"] or [None]):
        values = record if face is None else record | face | _flattened(index, face)
        yield {column: values.get(column) for column in names}


def _flattened(index: int, face: dict[str, Any]) -> dict[str, Any]:
    """The columns that are nested in the JSON object of a face."""
    box = dict(zip(("box_x", "box_y", "box_width", "box_height"), face["box"], strict=True))
    raw = {f"raw_{name}": p for name, p in (face.get("raw_probabilities") or {}).items()}
    found = face.get("attributes") or {}
    ages = {f"age_{group}": p for group, p in (found.get("age") or {}).items()}
    return {
        "face_index": index,
        **box,
        **face["probabilities"],
        **raw,
        **found,
        **(found.get("gender") or {}),
        **ages,
    }
