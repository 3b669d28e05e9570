"""JSON Lines: one object per photo or video frame."""

from __future__ import annotations

import json
import math
import os

from fastfer.outputs.base import Frame, Output, Result
from fastfer.outputs.columns import to_record
from fastfer.outputs.resumable_file import open_output
from fastfer.results import VideoFrameResult


class JsonLinesWriter(Output[Result]):
    """Writes each result as a line of UTF-8, see :func:`fastfer.outputs.columns.to_record`."""

    def __init__(self, path: str | os.PathLike[str], *, resume: bool = False) -> None:
        """Open ``path``, ``-`` for standard output, see :func:`open_output`.

        Raises:
            OutputError: the file cannot be opened.
        """
        self._file = open_output(path, resume=resume)

    def write(self, result: Result, image: Frame | None = None) -> None:
        """See :meth:`Output.write`; the line is on the disk on return."""
        line = json.dumps(to_record(result), ensure_ascii=False) + "\n"
        self._file.write(encode(line), describe(result))

    def finish(self, end: float = math.inf) -> None:
        """See :meth:`Output.finish`."""
        self._file.finish()

    def close(self) -> None:
        """See :meth:`Output.close`."""
        self._file.close()


def encode(text: str) -> bytes:
    """``text`` in UTF-8; bytes of file names that are not UTF-8 appear as ``\\udc80``, which is
    also JSON's escape of them."""
    return text.encode("utf-8", "backslashreplace")


def describe(result: Result) -> str:
    """A name of ``result`` for error messages."""
    if isinstance(result, VideoFrameResult):
        return f"frame {result.frame_index}"
    return result.source
