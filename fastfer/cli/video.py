"""The command ``fastfer video``: a video, camera or stream in; rows, events, pictures out."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastfer import __version__
from fastfer.cli import arguments, terminal
from fastfer.inference.onnx_session import THREAD_LIMIT
from fastfer.labels import NAMES

if TYPE_CHECKING:
    from fastfer.display.player import Player
    from fastfer.engine import Engine
    from fastfer.io.frame_source import FrameSource
    from fastfer.outputs.base import Output
    from fastfer.outputs.run_stats import RunStats
    from fastfer.pipeline.video_pipeline import VideoOptions, VideoPipeline
    from fastfer.results import VideoFrameResult

EPILOG = """\
examples:
  fastfer video clip.mp4                         how long each face showed each emotion
  fastfer video clip.mp4 --jsonl rows.jsonl --events clip.srt --plot clip.png
  fastfer video --camera 0                       live, in a window: q ends, space pauses, s saves
  fastfer video rtsp://host/stream --no-display --jsonl -
  fastfer video clip.mp4 --audit                 what skipping work costs on this clip, and brings

exit codes: 0 done; 1 an output could not be written; 2 wrong usage; 3 the source could not be read,
or not to its end (what came before is written); 4 the model is missing or was refused; 130 and 143
ended by Ctrl-C or a termination signal, with all outputs closed. Results go to standard output or
files, all else to standard error."""


def parse(argv: Sequence[str] | None, prog: str) -> argparse.Namespace:
    """The options of the command; ends the process on a wrong one, with exit code 2."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Follow the faces in a video or live picture and read their expressions.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "source",
        nargs="?",
        metavar="SOURCE",
        help="a video, an animated GIF, a directory of pictures, a pattern such as "
        "frame_%%04d.png, or the URL of a stream",
    )
    parser.add_argument("--version", action="version", version=f"fastfer {__version__}")
    _add_source(parser.add_argument_group("where from"))
    _add_work(parser.add_argument_group("what to do"))
    _add_outputs(parser.add_argument_group("what to give"))
    args = parser.parse_args(argv)
    if (args.source is None) == (args.camera is None):
        parser.error("give one SOURCE, or --camera N")
    live = args.camera is not None or "://" in (args.source or "")
    if args.resume and (live or not (args.jsonl or args.csv)):
        parser.error("--resume needs a recording, and --jsonl or --csv")
    if "-" in (args.jsonl, args.csv) and args.resume:
        parser.error("--resume needs a file, not standard output")
    if [args.jsonl, args.csv, args.events].count("-") > 1:
        parser.error("only one output can go to standard output")
    if args.resume and args.budget_ms is not None:
        parser.error("--resume needs results that repeat, which --budget-ms gives up")
    if args.audit and args.camera is not None:
        parser.error("--audit needs a recording, which can be run twice")
    return args


def _add_source(group: Any) -> None:
    group.add_argument("--camera", type=_whole(0), metavar="N", help="number of a camera")
    group.add_argument("--backend", default="auto", metavar="NAME", help="OpenCV's way to cameras")
    group.add_argument("--size", type=_size, metavar="WxH", help="size to ask the camera for")
    group.add_argument(
        "--fps", type=_positive, help="rate to ask the camera for; of pictures, the rate they have"
    )
    group.add_argument(
        "--stall",
        type=_positive,
        default=5.0,
        metavar="SECONDS",
        help="silence after which a stream is opened anew (default: 5)",
    )
    group.add_argument(
        "--give-up",
        type=_positive,
        default=60.0,
        metavar="SECONDS",
        help="outage after which a camera or stream is given up (default: 60; inf: never)",
    )


def _add_work(group: Any) -> None:
    arguments.add_detector(group)
    arguments.add_model(group)
    group.add_argument("--min-face", type=_whole(0), default=0, metavar="PX", help="smallest face")
    group.add_argument(
        "--min-quality",
        type=_seconds,
        default=0.0,
        metavar="Q",
        help="tell no emotion of faces of lower quality, 0 to 1 (default: 0)",
    )
    group.add_argument(
        "--threads", type=_whole(1, THREAD_LIMIT), metavar="N", help="processors to use"
    )
    group.add_argument(
        "--detect-every",
        type=_every,
        default="auto",
        metavar="N",
        help="frames between looks for faces (default: auto)",
    )
    group.add_argument(
        "--classify-every",
        type=_every,
        default="auto",
        metavar="N",
        help="frames between readings of a face (default: auto, when it has changed)",
    )
    group.add_argument(
        "--smooth", type=_seconds, default=None, metavar="SECONDS", help="time constant; 0 for none"
    )
    group.add_argument(
        "--budget-ms",
        type=_positive,
        metavar="MS",
        help="keep within this time per frame by looking less often; results then vary",
    )
    group.add_argument(
        "--audit", action="store_true", help="compare with looking at everything in every frame"
    )


def _add_outputs(group: Any) -> None:
    group.add_argument(
        "--jsonl", metavar="FILE", help="a JSON line per face and frame; - for stdout"
    )
    group.add_argument("--csv", metavar="FILE", help="the same as a table")
    group.add_argument(
        "--resume",
        action="store_true",
        help="go on with a --jsonl or --csv file that an interrupted run has left",
    )
    group.add_argument(
        "--events", metavar="FILE", help="who showed what from when to when: .jsonl, .srt or .vtt"
    )
    group.add_argument(
        "--save", type=Path, metavar="FILE", help="an annotated video, without sound"
    )
    group.add_argument("--plot", type=Path, metavar="FILE", help="a picture of emotions over time")
    group.add_argument(
        "--summary", action="store_true", help="print the share of time per emotion and face"
    )
    group.add_argument(
        "--display",
        action=argparse.BooleanOptionalAction,
        help="show a window (default: for cameras and streams)",
    )
    group.add_argument("--lang", choices=list(NAMES), default="en", help="language of the outputs")


def main(argv: Sequence[str] | None = None, prog: str = "python -m fastfer.video") -> int:
    """Run the command; returns its exit code."""
    return terminal.run(lambda: _run(parse(argv, prog)))


def _run(args: argparse.Namespace) -> int:
    from fastfer.io.open_source import CameraOptions, open_source

    options = _options(args)
    camera = CameraOptions(args.backend, args.size, args.fps, args.stall, args.give_up)
    where = args.source if args.camera is None else args.camera
    with ExitStack() as stack:
        stack.enter_context(_terminable())
        source = stack.enter_context(closing(open_source(where, camera)))
        engine = _engine(args)
        if args.audit:
            _audit(lambda: open_source(where, camera), engine, options)
        else:
            _analyze(args, source, engine, options)
    return 0


def _options(args: argparse.Namespace) -> VideoOptions:
    from fastfer.pipeline.video_pipeline import SMOOTH, VideoOptions

    smooth = SMOOTH if args.smooth is None else args.smooth
    return VideoOptions(
        args.detect_every, args.classify_every, smooth, args.budget_ms, args.min_quality
    )


def _engine(args: argparse.Namespace) -> Engine:
    import cv2

    from fastfer.engine import Engine
    from fastfer.inference import cpus

    cv2.setNumThreads(args.threads or cpus.available())
    arguments.obtain_detector(args)
    return Engine(
        args.detector,
        args.model,
        spec=arguments.model_spec(args),
        head=args.head,
        threads=args.threads,
        min_face=args.min_face,
        detect_size=args.detect_size,
    )


def _audit(reopen: Callable[[], FrameSource], engine: Engine, options: VideoOptions) -> None:
    from fastfer.pipeline.audit import audit

    report = audit(reopen, engine, options)
    print(report.table(), file=terminal.stdout_for_people())


def _analyze(
    args: argparse.Namespace, source: FrameSource, engine: Engine, options: VideoOptions
) -> None:
    from fastfer.outputs.run_stats import RunStats
    from fastfer.pipeline.video_pipeline import VideoPipeline

    loop = VideoPipeline(engine.detector, engine.classifier, options)
    report = RunStats()
    with ExitStack() as stack:
        # Called last, when all outputs are closed, also after an error or Ctrl-C.
        stack.callback(_report, report, loop, source)
        outputs = stack.enter_context(_outputs(args, source))
        progress = stack.enter_context(terminal.Progress(source.count or 0, unit="frame"))
        stack.callback(_tell, source.notes)
        for frame, result in loop.run(source):
            report.write(result)
            more = outputs.write(frame.image, result)
            if source.notes or outputs.notes:
                with progress.aside():
                    _tell(source.notes)
                    _tell(outputs.notes)
            progress.advance()
            if not more:
                return
        outputs.finish()


def _report(stats: RunStats, loop: VideoPipeline, source: FrameSource) -> None:
    terminal.say(stats.line(loop.counts, source.dropped if source.live else None))
    if loop.budget is not None:
        terminal.say(loop.budget.report())


def _tell(notes: list[str]) -> None:
    """Pass on what is worth hearing of, once."""
    while notes:
        terminal.say(notes.pop(0))


class _Outputs:
    """All requested outputs and the window."""

    def __init__(self, args: argparse.Namespace, source: FrameSource, stack: ExitStack) -> None:
        from fastfer.display.annotate import FrameAnnotator

        self.notes: list[str] = []
        self._annotator = FrameAnnotator(args.lang)
        self._outputs: list[Output[VideoFrameResult]] = []
        self._player = _player(args, source)
        for output in self._opened(args, source):
            self._outputs.append(output)
            stack.callback(output.close)
        if self._player is not None:
            stack.callback(self._player.close)

    def _opened(
        self, args: argparse.Namespace, source: FrameSource
    ) -> Iterator[Output[VideoFrameResult]]:
        if args.jsonl:
            from fastfer.outputs.jsonl import JsonLinesWriter

            yield JsonLinesWriter(args.jsonl, resume=args.resume)
        if args.csv:
            from fastfer.outputs.csv_rows import CsvWriter

            yield CsvWriter(args.csv, resume=args.resume)
        if args.events:
            from fastfer.outputs.events import EventWriter

            yield EventWriter(args.events, 1 / source.fps, lang=args.lang)
        if args.plot:
            from fastfer.outputs.plot import PlotWriter

            yield PlotWriter(args.plot, lang=args.lang)
        if args.save:
            from fastfer.outputs.annotated_video import AnnotatedVideoWriter

            yield AnnotatedVideoWriter(args.save, source.fps, self._annotator)
        if args.summary or not (self._outputs or self._player):
            from fastfer.outputs.summary import SummaryWriter

            stream = terminal.stdout_for_people()
            yield SummaryWriter(stream, 1 / source.fps, lang=args.lang)

    def write(self, image: Any, result: VideoFrameResult) -> bool:
        """Write one frame; ``False`` once the user has closed the window."""
        for output in self._outputs:
            output.write(result, image)
        if self._player is None:
            return True
        more: bool = self._player.play(self._annotator.draw(image, result), result)
        self.notes += self._player.notes
        self._player.notes.clear()
        return more

    def finish(self) -> None:
        """The source has ended."""
        for output in self._outputs:
            output.finish()


@contextmanager
def _outputs(args: argparse.Namespace, source: FrameSource) -> Iterator[_Outputs]:
    """The outputs asked for, closed at the end whatever happens."""
    with ExitStack() as stack:
        yield _Outputs(args, source, stack)


def _player(args: argparse.Namespace, source: FrameSource) -> Player | None:
    wanted = source.live if args.display is None else args.display
    if not wanted:
        return None
    from fastfer.display.player import Player

    player = Player.open()
    if player is None:
        terminal.say("there is no display to open a window on; going on without (--no-display).")
    else:
        player.live = source.live
    return player


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end the run as Ctrl-C does, so that outputs are closed: exit code 143."""

    def stop(*_: object) -> None:
        raise terminal.Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _whole(low: int, high: int | None = None) -> Callable[[str], int]:
    def whole(text: str) -> int:
        value = int(text) if text.isascii() and text.isdigit() else low - 1
        if value < low or (high is not None and value > high):
            limits = f"{low} or more" if high is None else f"{low} to {high}"
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, {limits}")
        return value

    return whole


def _every(text: str) -> int | str:
    return text if text == "auto" else _whole(1)(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not value >= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number, 0 or more")
    return value


def _positive(text: str) -> float:
    value = _seconds(text)
    if value == 0:
        raise argparse.ArgumentTypeError("must be more than 0")
    return value


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    return _whole(1)(width), _whole(1)(height)


if __name__ == "__main__":
    terminal.leave(main())
