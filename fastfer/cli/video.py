"""The command ``fastfer video``: analyse a video, camera or stream."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastfer.cli import arguments, interrupts, terminal
from fastfer.cli.arguments import STDOUT, column_groups, positive
from fastfer.cli.limit_options import add_limit_options
from fastfer.cli.privacy_options import add_privacy_options, make_privacy_filter
from fastfer.cli.video_input import STDIN, add_input_options, check_input, is_live, open_input
from fastfer.io.addresses import is_camera
from fastfer.io.file_kinds import can_be_reopened, exists, is_folder
from fastfer.labels import CONTEMPT

if TYPE_CHECKING:
    from fastfer.display.annotate import FrameAnnotator
    from fastfer.display.player import Player
    from fastfer.engine import Engine
    from fastfer.io.frame_source import FrameSource
    from fastfer.io.video_files import Media
    from fastfer.outputs.base import Output
    from fastfer.outputs.run_stats import RunStats
    from fastfer.pipeline.video_pipeline import VideoOptions, VideoPipeline
    from fastfer.results import VideoFrameResult

EPILOG = f"""\
examples:
  fastfer video clip.mp4                         print the share of each emotion per face
  fastfer video clip.mp4 --jsonl rows.jsonl --events clip.srt --plot clip.png
  fastfer video a.mp4 b.mp4 folder/ --csv rows.csv --save "out/{{name}}.mp4"
  fastfer video film.mkv --start 10:00 --end 12:30
  fastfer video --camera 0                       live window: q quits, h lists the keys
  fastfer video rtsp://host/stream --no-display --jsonl -
  fastfer video clip.mp4 --audit                 measure the accuracy cost of frame skipping

{arguments.EXIT_CODES}"""


def make_parser(prog: str = "fastfer video") -> argparse.ArgumentParser:
    """The parser of the command."""
    parser = arguments.CommandParser(
        prog=prog,
        usage="%(prog)s [OPTION ...] (SOURCE ... | --camera N)",
        description="Track faces in a video or camera stream and classify their expressions.",
        epilog=EPILOG,
    )
    arguments.add_version(parser)
    add_input_options(parser)
    arguments.add_engine_options(parser, photos=False)
    _add_tracking_options(parser)
    _add_output_options(parser)
    add_privacy_options(parser)
    add_limit_options(parser, "files", isolate=False)
    return parser


def parse(argv: Sequence[str] | None, prog: str = "fastfer video") -> argparse.Namespace:
    """Parse and check the options; exits with code 2 on an error."""
    from fastfer.cli.several_videos import NAME

    parser = make_parser(prog)
    args = parser.parse_args(argv)
    check_input(parser, args)
    if args.resume and (is_live(args) or args.source == STDIN or not (args.jsonl or args.csv)):
        parser.error("--resume needs a recording, and --jsonl or --csv")
    for option in ("jsonl", "csv"):
        if NAME in (getattr(args, option) or ""):
            parser.error(
                f"--{option} is one file for all sources, whose rows name theirs; remove {NAME}"
            )
    if args.resume and STDOUT in (args.jsonl, args.csv):
        parser.error("--resume needs a file, not standard output")
    printed = [args.jsonl, args.csv, args.events].count(STDOUT) + args.summary
    if printed > 1:
        parser.error(
            "only one of --jsonl, --csv, --events and --summary can use standard output; write "
            "the others to files"
        )
    arguments.check_excel(parser, args)
    if args.resume and args.budget_ms is not None:
        parser.error("--resume needs deterministic results; remove --budget-ms")
    if args.resume and args.overwrite:
        parser.error("--resume continues files that --overwrite replaces; remove one of them")
    camera = args.camera is not None or is_camera(args.source)
    path = args.source or ""
    once = path == STDIN or (exists(path) and not is_folder(path) and not can_be_reopened(path))
    if args.audit and (camera or once):
        what = "a camera" if camera else f"{path}, which can be read only once"
        parser.error(f"--audit runs a recording twice; got {what}")
    for option in ("jsonl", "csv", "events", "save", "plot", "report"):
        if args.audit and getattr(args, option):
            parser.error(f"--audit writes no other output; run it without --{option}")
    return args


def _add_tracking_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("tracking")
    arguments.add_interval_options(group, classify="1, with --budget-ms auto")
    group.add_argument(
        "--budget-ms",
        type=positive,
        metavar="MS",
        help="skip work to stay within this time per frame; results are deterministic unless this "
        "is set",
    )
    group.add_argument(
        "--audit",
        action="store_true",
        help="report the accuracy cost of frame skipping against full processing",
    )


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    arguments.add_row_options(group)
    group.add_argument(
        "--resume", action="store_true", help="continue the --jsonl and --csv of an interrupted run"
    )
    group.add_argument(
        "--events",
        metavar="FILE",
        help="write who appears and leaves and which emotions start and end, as it happens "
        "(.jsonl, or - for standard output), or subtitles (.srt, .vtt)",
    )
    group.add_argument(
        "--save",
        type=Path,
        metavar="FILE",
        help="write an annotated video with the sound: H.264 in .mp4, .mov and .mkv, VP9 in .webm, "
        "Motion JPEG in .avi",
    )
    group.add_argument("--no-sound", action="store_true", help="write --save without sound")
    group.add_argument(
        "--plot", type=Path, metavar="FILE", help="write a picture of the emotions over time"
    )
    group.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="write a page with people, best moments and a table, which opens offline: .html",
    )
    group.add_argument(
        "--legend",
        action="store_true",
        help="name the colours in a band below each frame of --save and of the window",
    )
    arguments.add_top2(group)
    group.add_argument(
        "--summary",
        action="store_true",
        help="print the share of each emotion per face (default if there is no other output)",
    )
    group.add_argument(
        "--display",
        action=argparse.BooleanOptionalAction,
        help="show a window (default: for cameras and streams); h lists its keys",
    )
    group.add_argument(
        "--mirror",
        action="store_true",
        help="show the window's picture as in a mirror; rows and --save are not mirrored",
    )


def main(argv: Sequence[str] | None = None, prog: str = "python -m fastfer.video") -> int:
    """Run the command; returns its exit code."""
    return terminal.run(lambda: _run(parse(argv, prog)))


def _run(args: argparse.Namespace) -> int:
    from fastfer.cli import several_videos

    if len(args.sources) <= 1:
        return analyze_one(several_videos.named_outputs(args))
    jobs = several_videos.jobs_of(args)
    _check_outputs(args, jobs)
    with terminal.terminable():
        return several_videos.run(args, jobs)


def analyze_one(args: argparse.Namespace) -> int:
    """Analyse the single source of ``args``; returns the exit code."""
    from fastfer.outputs.paths import check_folders

    options = _video_options(args)
    _check_outputs(args, [args])
    check_folders({"--save": args.save, "--plot": args.plot, "--report": args.report})
    with terminal.terminable(), closing(open_input(args)) as source:
        engine = arguments.make_engine(args)
        if args.audit:
            _audit(lambda: open_input(args), engine, options)
        else:
            _analyze(args, source, engine, options)
    return 0


def run_child() -> None:
    """Analyse one of several sources, in a process of its own whose parent wrote the arguments to
    standard input."""
    import pickle

    args = pickle.load(sys.stdin.buffer)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    terminal.leave(terminal.run(lambda: analyze_one(args)))


def _check_outputs(args: argparse.Namespace, jobs: Sequence[argparse.Namespace]) -> None:
    """Refuse outputs that would overwrite a source, each other, or rows of an earlier run.

    ``jobs``: the arguments of each source, or those of the only one.
    """
    from fastfer.io.picture_sequence import files_of
    from fastfer.outputs.paths import check_new, check_outputs, check_row_suffixes

    rows = {"--jsonl": args.jsonl, "--csv": args.csv}
    check_row_suffixes(rows)
    others: dict[str, str | Path | None] = {}
    for job in jobs:
        of = f" for {job.source}" if len(jobs) > 1 else ""
        rows[f"--events{of}"] = job.events
        others |= {f"--save{of}": job.save, f"--plot{of}": job.plot, f"--report{of}": job.report}
    inputs = [file for job in jobs if job.source is not None for file in files_of(job.source)]
    check_outputs(rows | others, [*inputs, *filter(None, [args.model])])
    if not (args.resume or args.overwrite):
        check_new(rows)


def _video_options(args: argparse.Namespace) -> VideoOptions:
    from fastfer.pipeline.video_pipeline import SMOOTH, VideoOptions

    smooth = SMOOTH if args.smooth is None else args.smooth
    return VideoOptions(args.detect_every, args.classify_every, smooth, args.budget_ms)


def _audit(reopen: Callable[[], FrameSource], engine: Engine, options: VideoOptions) -> None:
    from fastfer.pipeline.audit import audit

    report = audit(reopen, engine, options)
    print(report.table(), file=terminal.stdout_for_people())


def _analyze(
    args: argparse.Namespace, source: FrameSource, engine: Engine, options: VideoOptions
) -> None:
    from fastfer.display.annotate import FrameAnnotator
    from fastfer.outputs.run_stats import RunStats
    from fastfer.pipeline.video_pipeline import VideoPipeline

    engine.classifier  # noqa: B018 - an unusable model must not truncate files of an earlier run.
    pipeline = VideoPipeline(engine, options)
    stats = RunStats()
    # A reader of standard output that has stalled must not delay Ctrl-C.
    printed = STDOUT in (args.jsonl, args.csv, args.events)
    held: Any = nullcontext if printed else interrupts.hold
    privacy = make_privacy_filter(args)
    annotator = FrameAnnotator(
        args.lang, legend=args.legend, top2=args.top2, contempt=CONTEMPT in engine.emotions
    )
    with ExitStack() as stack:
        # Called after all outputs are closed, also after an error or Ctrl-C.
        stack.callback(_report, stats, pipeline, source)
        player = _open_player(args, source, annotator, stack)
        outputs = _open_outputs(args, source, annotator, player, stack)
        progress = stack.enter_context(terminal.Progress(source.count or 0, unit="frame"))
        stack.callback(_show_notes, source.notes)
        for frame, result in pipeline.run(source):
            stats.write(result)
            result = privacy.result(result)
            wanting = [output.wants_image(result) for output in outputs]
            image = None
            if player is not None or any(wanting):
                image = privacy.image(frame.image, result)
            with held():
                for output, wants in zip(outputs, wanting, strict=True):
                    output.write(result, image if wants else None)
            if player is not None and image is not None:
                more = player.play(image, result)
                source.notes += player.notes
                player.notes.clear()
                if not more:
                    return
            if source.notes:
                with progress.aside():
                    _show_notes(source.notes)
            progress.advance()
        media: Media | None = getattr(source, "media", None)
        for output in outputs:
            output.finish(math.inf if media is None else media.picture_end)


def _report(stats: RunStats, pipeline: VideoPipeline, source: FrameSource) -> None:
    if not pipeline.counters.frames:
        return  # An output could not be opened.
    terminal.say(stats.line(pipeline.counters, source.dropped if source.live else None))
    if note := stats.note():
        terminal.say(note)
    if pipeline.budget is not None:
        terminal.say(pipeline.budget.report())


def _show_notes(notes: list[str]) -> None:
    """Print and remove ``notes``."""
    while notes:
        terminal.say(notes.pop(0))


def _open_outputs(
    args: argparse.Namespace,
    source: FrameSource,
    annotator: FrameAnnotator,
    player: Player | None,
    stack: ExitStack,
) -> list[Output[VideoFrameResult]]:
    """All requested outputs; ``stack`` closes them."""
    outputs: list[Output[VideoFrameResult]] = []

    def add(output: Output[VideoFrameResult]) -> None:
        stack.callback(output.close)
        outputs.append(output)

    if args.jsonl:
        from fastfer.outputs.jsonl import JsonLinesWriter

        add(JsonLinesWriter(args.jsonl, resume=args.resume))
    if args.csv:
        from fastfer.outputs.csv_rows import CsvWriter

        add(
            CsvWriter(
                args.csv, resume=args.resume, excel=args.excel, attributes=column_groups(args)
            )
        )
    if args.events:
        from fastfer.outputs.events import EventWriter, WallClock

        clock = WallClock() if source.live else None
        add(
            EventWriter(
                args.events,
                1 / source.fps,
                lang=args.lang,
                wall_clock=clock,
                attributes=args.attributes,
            )
        )
    if args.plot:
        from fastfer.outputs.plot import PlotWriter

        add(PlotWriter(args.plot, lang=args.lang))
    if args.report:
        from fastfer.outputs.report import ReportWriter

        add(ReportWriter(args.report, 1 / source.fps, lang=args.lang))
    if args.save:
        from fastfer.outputs.annotated_video import AnnotatedVideoWriter

        media = getattr(source, "media", None)
        sound = not args.no_sound
        if sound and media is not None and media.sound_is_lost:
            source.notes.append(
                f"{source.name}: the copy has no sound, which --isolate cannot take from a source "
                "that can be read only once"
            )
        add(AnnotatedVideoWriter(args.save, source.fps, annotator, media=media, sound=sound))
    if args.summary or not (outputs or player):
        from fastfer.outputs.summary import SummaryWriter

        add(SummaryWriter(terminal.stdout_for_people(), 1 / source.fps, lang=args.lang))
    return outputs


def _open_player(
    args: argparse.Namespace, source: FrameSource, annotator: FrameAnnotator, stack: ExitStack
) -> Player | None:
    wanted = source.live if args.display is None else args.display
    if not wanted:
        return None
    from fastfer.display.player import Player

    player = Player.open(
        annotator, live=source.live, mirror=args.mirror, lang=args.lang, top2=args.top2
    )
    if player is None:
        terminal.say("no display available; continuing without a window (--no-display)")
        return None
    stack.callback(player.close)
    return player


if __name__ == "__main__":
    terminal.leave(main())
