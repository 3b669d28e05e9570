"""The data of the studio's timeline as a JSON file."""

from __future__ import annotations

import json
import math
from pathlib import Path

from fastfer.outputs.base import Frame, Output, write_error
from fastfer.outputs.paths import write_whole
from fastfer.outputs.people import PeopleCollector
from fastfer.results import VideoFrameResult


class PeopleFile(Output[VideoFrameResult]):
    """Writes what :class:`~fastfer.outputs.people.PeopleCollector` has collected."""

    needs_image = True

    def __init__(self, path: Path, frame_seconds: float) -> None:
        self._path = path
        self._people = PeopleCollector(frame_seconds)

    def write(self, result: VideoFrameResult, image: Frame | None = None) -> None:
        """See :meth:`Output.write`."""
        self._people.write(result, image)

    def finish(self, end: float = math.inf) -> None:
        """See :meth:`Output.finish`."""
        self._people.finish(end)

    def close(self) -> None:
        """Write the file."""
        self._people.close()
        try:
            write_whole(self._path, json.dumps(self._people.data()).encode())
        except OSError as error:
            raise write_error(self._path, error) from None
