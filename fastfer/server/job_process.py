"""The process of one video job: ``python -m fastfer.server.job_process FOLDER``.

A video that crashes or blocks its decoder then ends this process and nothing else.
"""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import sys
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fastfer.errors import FastferError, InputError
from fastfer.labels import CONTEMPT
from fastfer.server import settings
from fastfer.server.job_store import read_state, update_state
from fastfer.server.settings import FOLDER_VARIABLE, ServerSettings

if TYPE_CHECKING:
    from fastfer.io.frame_source import FrameSource
    from fastfer.outputs.base import Output
    from fastfer.results import VideoFrameResult

REPORT_EVERY: Final = 0.25
"""Seconds between two reports of progress."""


def main(folder: Path) -> int:
    """Analyse the video in ``folder``."""
    if hasattr(os, "nice"):
        os.nice(5)  # Answers to other requests come first.
    options, engine = settings.load(Path(os.environ[FOLDER_VARIABLE]))
    try:
        frames, warning = _analyze(folder, options, pickle.loads(engine))
        end: dict[str, Any] = {"state": "done", "progress": 1.0, "seconds_left": 0.0}
        end["frames"] = frames
        if warning is not None:
            end |= {"error": str(warning), "error_code": warning.code}
    except FastferError as error:
        shown = str(error).replace(str(folder / "video"), "the video")
        end = {"state": "failed", "error": shown, "error_code": error.code}
    except OSError as error:
        from fastfer.outputs.base import write_error

        failure = write_error("the results", error)
        end = {"state": "failed", "error": str(failure), "error_code": failure.code}
    (folder / "video").unlink(missing_ok=True)
    if end["state"] == "failed":  # Frees the disk, which may be full, before the report.
        for file in folder.iterdir():
            if file.name not in ("state.json", "request.json"):
                with suppress(OSError):
                    file.unlink()
    update_state(folder, ended=time.time(), **end)
    return 0 if end["state"] == "done" else 1


def _analyze(folder: Path, options: ServerSettings, engine: Any) -> tuple[int, InputError | None]:
    """Write all results; the number of frames, and the error if the end cannot be read."""
    from fastfer.display.anonymize import privacy_filter
    from fastfer.io.isolated_video import AVAILABLE
    from fastfer.io.open_source import open_source
    from fastfer.pipeline.video_pipeline import VideoPipeline
    from fastfer.server.engines import EnginePool
    from fastfer.server.face_options import with_options

    request = json.loads((folder / "request.json").read_bytes())
    asked = request["attributes"]
    engine = EnginePool(engine).select(attributes=asked)
    request["columns"] = [*asked, *(e for e in engine.emotions if e == CONTEMPT)]
    privacy = privacy_filter(
        request["blur"] or None, pixelate=request["pixelate"], landmarks=request["landmarks"]
    )
    video = open_source(str(folder / "video"), limits=options.limits, isolate=AVAILABLE)
    with closing(video) as source, ExitStack() as end:
        _check(source, options)
        source.name = request["name"]  # Results and messages do not show the path.
        outputs: list[Output[VideoFrameResult]] = _outputs(folder, source, request, end)
        progress = _Progress(folder, source.count)
        try:
            for frame, result in VideoPipeline(engine).run(source):
                if frame.index >= options.max_video_frames or frame.pts > options.max_video_seconds:
                    raise _too_long(options)
                image = privacy.image(frame.image, result)
                shown = with_options(privacy.result(result), attributes=asked)
                for output in outputs:
                    output.write(shown, image)
                progress.advance()
            for output in outputs:
                output.finish()
        except InputError as error:
            if error.code not in ("truncated", "decode_failed", "damaged") or not progress.frames:
                raise
            return progress.frames, error
    return progress.frames, None


def _check(source: FrameSource, options: ServerSettings) -> None:
    """Refuse a video that says it is too long, before it is decoded."""
    count = source.count or 0
    if count > options.max_video_frames or count / source.fps > options.max_video_seconds + 1:
        raise _too_long(options)


def _too_long(options: ServerSettings) -> InputError:
    return InputError(
        f"the video is longer than the server's limit of {options.max_video_seconds:g} seconds or "
        f"{options.max_video_frames:,} frames",
        code="too_many_frames",
    )


def _outputs(
    folder: Path, source: FrameSource, request: dict[str, Any], end: ExitStack
) -> list[Output[VideoFrameResult]]:
    from fastfer.display.annotate import FrameAnnotator
    from fastfer.outputs.annotated_video import AnnotatedVideoWriter
    from fastfer.outputs.csv_rows import CsvWriter
    from fastfer.outputs.events import EventWriter
    from fastfer.outputs.jsonl import JsonLinesWriter
    from fastfer.outputs.people_file import PeopleFile
    from fastfer.outputs.plot import PlotWriter
    from fastfer.outputs.report import ReportWriter

    lang, seconds = request["lang"], 1 / source.fps
    outputs: list[Any] = [
        JsonLinesWriter(str(folder / "rows.jsonl")),
        CsvWriter(str(folder / "faces.csv"), excel=True, attributes=request["columns"]),
        *(
            EventWriter(str(folder / name), seconds, lang=lang, attributes=request["attributes"])
            for name in ("events.jsonl", "events.srt", "events.vtt")
        ),
        PlotWriter(folder / "plot.png", lang=lang),
        ReportWriter(folder / "report.html", seconds, lang=lang),
        PeopleFile(folder / "people.json", seconds),
        AnnotatedVideoWriter(
            folder / "annotated.mp4",
            source.fps,
            FrameAnnotator(lang),
            media=getattr(source, "media", None),
        ),
    ]
    if importlib.util.find_spec("pyarrow") is not None:
        from fastfer.outputs.parquet_rows import ParquetWriter

        outputs.append(ParquetWriter(folder / "faces.parquet", request["columns"]))
    for output in outputs:
        end.callback(output.close)
    return outputs


class _Progress:
    """Reports how far the analysis is."""

    def __init__(self, folder: Path, count: int | None) -> None:
        self.frames = 0
        self._folder = folder
        self._count = count
        self._start = self._last = time.monotonic()

    def advance(self) -> None:
        """Count one frame. Ends the process if the job has been removed."""
        self.frames += 1
        now = time.monotonic()
        if now - self._last < REPORT_EVERY:
            return
        self._last = now
        if read_state(self._folder) is None:
            os._exit(1)
        share = min(self.frames / self._count, 0.99) if self._count else 0.0
        left = (now - self._start) * (1 / share - 1) if share > 0 else None
        update_state(
            self._folder,
            frames=self.frames,
            progress=round(share, 3),
            seconds_left=None if left is None else round(left, 1),
        )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
