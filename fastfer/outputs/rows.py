"""One row for each face of each frame, and one for each frame without a face.

Rows hold nothing that depends on the speed of the machine, so the same video gives the same bytes.
That is what makes an interrupted run resumable: the analysis is repeated from the start, what is in
the file already is compared instead of written, and where the file ends, writing goes on.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from fastfer.errors import OutputError, UsageError
from fastfer.labels import EMOTIONS
from fastfer.results import SCHEMA_VERSION, Face, VideoFrameResult

COLUMNS: Final = (
    *("frame", "pts", "track", "x", "y", "w", "h", "detection_score", "quality", "low_quality"),
    *("emotion", "score"),
    *EMOTIONS,
    *(f"raw_{emotion}" for emotion in EMOTIONS),
    *("status", "classification", "confirmed"),
)
"""Of the CSV file."""

STDOUT: Final = "-"


def as_rows(result: VideoFrameResult) -> Iterator[dict[str, Any]]:
    """The rows of one frame, in native JSON types; all have the same keys."""
    for face in result.faces or (None,):
        head: dict[str, Any] = {
            "schema": SCHEMA_VERSION,
            "frame": result.frame_index,
            "pts": result.pts,
            "track": None,
            "box": None,
            "detection_score": None,
            "quality": None,
            "low_quality": None,
            "emotion": None,
            "score": None,
            "probabilities": None,
            "raw": None,
            "status": None,
            "classification": None,
            "confirmed": None,
        }
        yield head if face is None else head | _of_face(face)


def _of_face(face: Face) -> dict[str, Any]:
    return {
        "track": face.track_id,
        "box": list(face.box),
        "detection_score": face.detection_score,
        "quality": face.quality,
        "low_quality": face.low_quality,
        "emotion": None if face.low_quality else face.emotion,
        "score": None if face.low_quality else face.score,
        "probabilities": face.probabilities,
        "raw": face.raw_probabilities,
        "status": face.status,
        "classification": "classified" if face.classified else "reused",
        "confirmed": face.confirmed,
    }


def to_jsonl(result: VideoFrameResult) -> bytes:
    """The rows of one frame as JSON Lines."""
    return "".join(json.dumps(row) + "\n" for row in as_rows(result)).encode()


def to_csv(result: VideoFrameResult) -> bytes:
    """The rows of one frame as CSV, with the columns of :data:`COLUMNS`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in as_rows(result):
        seven = [(row[key] or {}).get(e) for key in ("probabilities", "raw") for e in EMOTIONS]
        box = row["box"] or [None] * 4
        start = [row[key] for key in ("frame", "pts", "track")]
        names = ("detection_score", "quality", "low_quality", "emotion", "score")
        middle = [row[key] for key in names]
        end = [row[key] for key in ("status", "classification", "confirmed")]
        writer.writerow([*start, *box, *middle, *seven, *end])
    return text.getvalue().encode()


class RowWriter:
    """Rows that are on the disk, whole, as soon as their frame is done."""

    def __init__(self, path: str, *, as_csv: bool, resume: bool = False) -> None:
        """Open ``path``, or standard output for ``-``.

        With ``resume`` what is in the file is kept and compared, see the module's text.

        Raises:
            OutputError: it cannot be opened.
        """
        self._encode: Callable[[VideoFrameResult], bytes] = to_csv if as_csv else to_jsonl
        self._file = open_output(path, resume=resume)
        if as_csv:
            self._file.write((",".join(COLUMNS) + "\n").encode(), "the heading")

    def write(self, result: VideoFrameResult) -> None:
        """Write the rows of one frame.

        Raises:
            OutputError: no room, or no permission.
            UsageError: the file to resume holds something else.
        """
        self._file.write(self._encode(result), f"frame {result.frame_index}")

    def finish(self) -> None:
        """The video is over: see that a file to resume holds no more than this analysis."""
        self._file.check_end()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class ResumableFile:
    """Bytes that are either written, or found to be there already."""

    def __init__(self, file: BinaryIO, name: str, *, resume: bool) -> None:
        self._file = file
        self._name = name
        self._resume = resume

    def write(self, data: bytes, what: str) -> None:
        """Write ``data`` in one piece; ``what`` it is, for messages."""
        try:
            if self._resume:
                data = self._beyond_what_is_there(data, what)
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
        except BrokenPipeError:
            raise  # Whoever read our output has seen enough.
        except OSError as error:
            raise OutputError(f"cannot write {self._name}: {error.strerror}.") from None

    def _beyond_what_is_there(self, data: bytes, what: str) -> bytes:
        """The part of ``data`` past the file's end, where the file is left."""
        there = self._file.read(len(data)) or b""
        if data[: len(there)] != there:
            raise UsageError(
                f"{self._name} cannot be resumed: {what} reads otherwise there. It comes from "
                "another video, model, version or set of options. Leave --resume out to start anew."
            )
        self._resume = len(there) == len(data)
        return data[len(there) :]

    def check_end(self) -> None:
        """Raise :class:`UsageError` if a resumed file goes on past what was written."""
        if self._resume and self._file.read(1):
            raise UsageError(
                f"{self._name} holds more than this analysis: it comes from another video or other "
                "options. Leave --resume out to start anew."
            )

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def open_output(path: str, *, resume: bool = False) -> ResumableFile:
    """Open ``path`` for writing without a buffer; ``-`` is standard output.

    Raises:
        OutputError: it cannot be opened.
    """
    if path == STDOUT:
        sys.stdout.flush()
        number = os.dup(sys.stdout.fileno())
        return ResumableFile(open(number, "wb", 0), "standard output", resume=False)  # noqa: PTH123
    try:
        resume = resume and Path(path).exists()
        file: Any = Path(path).open("r+b" if resume else "wb", 0)  # noqa: SIM115 - kept open.
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}.") from None
    return ResumableFile(file, path, resume=resume)
