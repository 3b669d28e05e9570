"""The command ``fastfer batch``: many photos and videos into one table."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fastfer.cli import arguments, terminal
from fastfer.cli.arguments import integer, number, positive
from fastfer.cli.limit_options import add_limit_options, make_limits
from fastfer.errors import InputError

if TYPE_CHECKING:
    from fastfer.batch.job import JobOptions, Progress
    from fastfer.pipeline.video_pipeline import VideoOptions

EPILOG = f"""\
examples:
  fastfer batch photos/ clips/*.mp4 --out faces.parquet
  fastfer batch shards/*.tar --out faces/                 a folder of Parquet files
  find /archive -name '*.jpg' | fastfer batch --files-from - --out faces.csv
  fastfer batch s3://bucket/photos/ --out s3://bucket/faces/
  fastfer batch photos/ --out part-3.parquet --shard 3/8  for a job queue; join with fastfer merge

The same command continues an interrupted run, and adds what is new.

{arguments.EXIT_CODES}"""


def make_parser(prog: str = "fastfer batch") -> argparse.ArgumentParser:
    """The parser of the command."""
    parser = arguments.CommandParser(
        prog=prog,
        usage="%(prog)s [OPTION ...] [SOURCE ...] --out TABLE",
        description="Analyse photos and videos into one table, on all processors.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "sources",
        nargs="*",
        metavar="SOURCE",
        help="a photo, video, folder with its subfolders, pattern such as '**/*.jpg', .tar or .zip "
        "archive, or URL of an object store",
    )
    arguments.add_version(parser)
    source = parser.add_argument_group("input")
    source.add_argument(
        "--files-from",
        action="append",
        default=[],
        metavar="FILE",
        help="read sources from FILE, one in each line; - for standard input",
    )
    source.add_argument(
        "--shard",
        metavar="I/N",
        help="analyse part I of N only: each photo and video belongs to one part",
    )
    arguments.add_engine_options(parser, threads=False)
    add_limit_options(parser, "videos", isolate=True)
    video = parser.add_argument_group("videos")
    arguments.add_interval_options(video)
    video.add_argument(
        "--segment", type=number(), default=120.0, metavar="SECONDS",
        help="split videos of twice this length and more, so that one film uses all processors; 0 "
        "never splits (default: 120)",
    )  # fmt: skip
    job = parser.add_argument_group("job")
    job.add_argument(
        "--jobs",
        type=integer(0, 1024),
        metavar="N",
        help="worker processes of one thread each (default: the granted processors; 0: none, "
        "without protection from crashes)",
    )
    job.add_argument(
        "--timeout",
        type=positive,
        default=120.0,
        metavar="SECONDS",
        help="give up a file after this time without progress (default: 120)",
    )
    job.add_argument(
        "--exact",
        action="store_true",
        help="decode large JPEGs in colour, as fastfer image does; by default in gray if the "
        "networks take gray pictures",
    )
    job.add_argument(
        "--dry-run",
        action="store_true",
        help="count the photos and videos, estimate the time, and write nothing",
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "--out",
        metavar="TABLE",
        help=".parquet, .csv or .jsonl; a name without an ending is a folder of Parquet files",
    )
    output.add_argument(
        "--partition-by",
        choices=("folder", "date"),
        help="divide a folder of tables by the photos' folder or day of modification",
    )
    output.add_argument(
        "--shard-rows",
        type=integer(1),
        default=1_000_000,
        metavar="N",
        help="rows of each file in a folder (default: 1,000,000)",
    )
    output.add_argument(
        "--overwrite", action="store_true", help="replace the table of an earlier job"
    )
    return parser


def parse(argv: Sequence[str] | None, prog: str = "fastfer batch") -> argparse.Namespace:
    """Parse and check the options; exits with code 2 on an error."""
    parser = make_parser(prog)
    args = parser.parse_args(argv)
    if not (args.sources or args.files_from):
        parser.error("pass one SOURCE or more, or --files-from FILE")
    if args.out is None and not args.dry_run:
        parser.error("pass --out TABLE, such as --out faces.parquet")
    if args.files_from.count(arguments.STDOUT) > 1:
        parser.error("standard input (-) can be read only once")
    return args


def main(argv: Sequence[str] | None = None, prog: str = "fastfer batch") -> int:
    """Run the command; returns its exit code."""
    return terminal.run(lambda: _run(parse(argv, prog)))


def _run(args: argparse.Namespace) -> int:
    with terminal.terminable():
        options = _options(args)
        limits = make_limits(args)
        engine = arguments.engine_arguments(args)
        out = terminal.stdout_for_people()
        if args.dry_run:
            from fastfer.batch.estimate import estimate
            from fastfer.batch.setup import Setup
            from fastfer.batch.sources import Sources
            from fastfer.batch.table import Table

            name = "estimate.jsonl"
            if args.out is not None:
                Table(name := args.out, partition_by=options.partition_by)  # Checks the name.
            setup = Setup(
                name, engine, limits, _video_options(args), args.exact, isolate=args.isolate
            )
            sources = Sources(args.sources, args.files_from, shard=options.shard, limits=limits)
            print(estimate(sources, setup, options.jobs).text(), file=out)
            return 0
        from fastfer.batch.job import run
        from fastfer.outputs.paths import check_outputs

        if Path(args.out).suffix:  # A folder is not replaced.
            lists = [path for path in args.files_from if path != arguments.STDOUT]
            check_outputs({"--out": args.out}, [*args.sources, *lists, *filter(None, [args.model])])
        try:
            with _ProgressLine() as progress:
                summary = run(
                    args.sources,
                    args.out,
                    lists=args.files_from,
                    engine=engine,
                    video=_video_options(args),
                    limits=limits,
                    isolate=args.isolate,
                    options=options,
                    progress=progress.receiver,
                )
        except KeyboardInterrupt:
            terminal.say("stopped; run the same command to continue from here")
            raise
        print(summary.text(), file=out)
    return InputError.exit_code if summary.errors else 0


def _options(args: argparse.Namespace) -> JobOptions:
    from fastfer.batch.job import JobOptions, parse_shard

    return JobOptions(
        jobs=args.jobs,
        timeout=args.timeout,
        partition_by=args.partition_by or "none",
        shard=None if args.shard is None else parse_shard(args.shard),
        shard_rows=args.shard_rows,
        exact=args.exact,
        segment=args.segment,
        overwrite=args.overwrite,
    )


def _video_options(args: argparse.Namespace) -> VideoOptions:
    from fastfer.pipeline.video_pipeline import SMOOTH, VideoOptions

    smooth = SMOOTH if args.smooth is None else args.smooth
    return VideoOptions(args.detect_every, args.classify_every, smooth)


class _ProgressLine:
    """One line on standard error: rewritten on a terminal, else a new one every half minute."""

    _TERMINAL = 0.2
    _LOG = 30.0

    def __init__(self) -> None:
        self._stream = sys.stderr
        self._on_terminal = self._stream is not None and self._stream.isatty()
        self._every = self._TERMINAL if self._on_terminal else self._LOG
        self._begun = time.monotonic()
        self._last = self._begun
        self._first_done: int | None = None
        self._width = 0
        self.receiver = self._receiver()

    def __enter__(self) -> _ProgressLine:
        return self

    def __exit__(self, *_: object) -> None:
        self._clear()

    def _receiver(self) -> Progress:
        from fastfer.batch.job import Progress

        line = self

        class Receiver(Progress):
            def advance(self, done: int, faces: int) -> None:
                line.show(done, self.total, faces)

            def say(self, message: str) -> None:
                line.say(message)

        return Receiver()

    def show(self, done: int, total: int | None, faces: int) -> None:
        """Show the numbers, if the last time is long enough ago."""
        now = time.monotonic()
        if self._first_done is None:
            self._first_done, self._begun = done, now
        if now - self._last < self._every:
            return
        self._last = now
        text = self._text(done, total, faces, now)
        if not self._on_terminal:
            terminal.say(text)
            return
        assert self._stream is not None
        self._stream.write("\r" + text.ljust(self._width))
        self._stream.flush()
        self._width = len(text)

    def _text(self, done: int, total: int | None, faces: int, now: float) -> str:
        from fastfer.batch.summary import duration

        assert self._first_done is not None
        rate = (done - self._first_done) / max(now - self._begun, 1e-6)
        if total is None:
            parts = [f"{done:,} files"]
        else:
            parts = [f"{done:,} of {total:,} files ({100 * done / max(total, 1):.0f} %)"]
        parts.append(f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s")
        if total is not None and rate > 0:
            parts.append(f"{duration(max(0, total - done) / rate)} left")
        parts.append(f"{faces:,} faces")
        return ", ".join(parts)

    def say(self, message: str) -> None:
        """Print a message above the line."""
        self._clear()
        terminal.say(message)

    def _clear(self) -> None:
        if self._width and self._stream is not None:
            self._stream.write("\r" + " " * self._width + "\r")
            self._stream.flush()
            self._width = 0


if __name__ == "__main__":
    terminal.leave(main())
