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
        isolated: what ``--isolate`` decodes in processes of their own, such as ``pictures``.
        isolate: its default.
    """
    group: Any = parser.add_argument_group("limits of one file")
    default = DEFAULT_LIMITS
    group.add_argument(
        "--max-pixels",
        type=integer(1),
        default=default.pixels,
        metavar="N",
        help=f"refuse larger pictures before decoding (default: {default.pixels:,})",
    )
    group.add_argument(
        "--max-frame-pixels",
        type=integer(1),
        default=default.frame_pixels,
        metavar="N",
        help=f"refuse videos of larger frames (default: {default.frame_pixels:,})",
    )
    group.add_argument(
        "--max-bytes",
        type=integer(1),
        default=default.bytes,
        metavar="N",
        help=f"refuse larger picture files, and videos in archives (default: {default.bytes:,})",
    )
    group.add_argument(
        "--max-memory",
        type=integer(1),
        default=default.memory,
        metavar="BYTES",
        help="refuse pictures whose decoding takes more memory, and grant a decoder process of "
        f"videos no more (default: {default.memory:,})",
    )
    group.add_argument(
        "--max-seconds",
        type=positive,
        default=default.seconds,
        metavar="S",
        help="stop decoding a picture or a frame after this time, where it is decoded in a process "
        f"of its own (default: {default.seconds:g})",
    )
    group.add_argument(
        "--isolate",
        action=argparse.BooleanOptionalAction,
        default=isolate,
        help=f"decode {isolated} in processes of their own, so that one that crashes or stops its "
        f"decoder costs an error, not the run (default: {'on' if isolate else 'off'})",
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
