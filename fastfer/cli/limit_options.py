"""Options for the budget of an input file, the same in all commands that read files."""

from __future__ import annotations

import argparse
from typing import Any

from fastfer.cli.arguments import integer, positive
from fastfer.io.limits import DEFAULT_LIMITS, FileLimits


def add_limit_options(parser: argparse.ArgumentParser, isolated: str, *, isolate: bool) -> None:
    """Add the options of :func:`make_limits` in a group of their own, and ``--isolate``.

    Args:
        parser: of a command.
        isolated: what ``--isolate`` decodes in separate processes, such as ``pictures``.
        isolate: its default.
    """
    group: Any = parser.add_argument_group("limits of one file")
    default = DEFAULT_LIMITS
    for name, kind, value, metavar, text in (
        ("pixels", integer(1), default.pixels, "N", "refuse larger pictures before decoding"),
        ("frame-pixels", integer(1), default.frame_pixels, "N", "refuse videos of larger frames"),
        ("bytes", integer(1), default.bytes, "N", "refuse larger picture files, and videos in "
         "archives"),
        ("memory", integer(1), default.memory, "BYTES", "refuse pictures whose decoding takes more "
         "memory, and grant a decoder process of videos no more"),
        ("seconds", positive, default.seconds, "S", "stop decoding a picture or a frame after this "
         "time, where it is decoded in a separate process"),
    ):  # fmt: skip
        group.add_argument(
            f"--max-{name}",
            type=kind,
            default=value,
            metavar=metavar,
            help=f"{text} (default: {value:,.10g})",
        )
    group.add_argument(
        "--isolate",
        action=argparse.BooleanOptionalAction,
        default=isolate,
        help=f"decode {isolated} in separate processes, so that one that crashes or stops its "
        f"decoder is an error of that file, not of the run (default: {'on' if isolate else 'off'})",
    )


def make_limits(args: argparse.Namespace) -> FileLimits:
    """The limits that the options set, also for OpenCV in this process.

    Raises:
        UsageError: a limit out of range.
    """
    limits = FileLimits(
        pixels=args.max_pixels,
        frame_pixels=args.max_frame_pixels,
        bytes=args.max_bytes,
        memory=args.max_memory,
        seconds=args.max_seconds,
    )
    limits.limit_opencv()
    return limits
