"""The input options of ``fastfer video``: which sources to read, and how."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from fastfer.cli.arguments import STDOUT, integer, number, positive, size
from fastfer.cli.limit_options import make_limits
from fastfer.io.addresses import is_camera, scheme

if TYPE_CHECKING:
    from fastfer.io.frame_source import FrameSource

STDIN = STDOUT


def add_input_options(parser: argparse.ArgumentParser) -> None:
    """Add the sources and the options that :func:`check_input` and :func:`open_input` read."""
    parser.add_argument(
        "sources",
        nargs="*",
        metavar="SOURCE",
        help="videos and animated GIFs, directories of them or of pictures, a pattern such as "
        "frame_%%04d.png, the URL of a stream, a camera such as /dev/video0, or - for a video from "
        "standard input",
    )
    group = parser.add_argument_group("input")
    group.add_argument(
        "--start", type=seconds, default=0.0, metavar="TIME",
        help="start at this time of a video, in seconds or as 1:02:03.5; what is before is skipped",
    )  # fmt: skip
    group.add_argument(
        "--end", type=seconds, metavar="TIME", help="end before this time of a video"
    )
    group.add_argument(
        "--every", type=positive, metavar="SECONDS",
        help="analyse one frame of a video per this time (default: all)",
    )  # fmt: skip
    group.add_argument(
        "--hwaccel", metavar="NAME",
        help="decode videos with this hardware where it can: cuda, vaapi, qsv, videotoolbox, ...",
    )  # fmt: skip
    group.add_argument(
        "--raw", type=raw_format, metavar="WxH[:FORMAT]",
        help="the source holds raw frames of this size; FORMAT is FFmpeg's name of a pixel format "
        "(default: bgr24), --fps their rate",
    )  # fmt: skip
    group.add_argument(
        "--jobs", type=integer(1), metavar="N",
        help="of several videos, analyse this many at a time (default: half of the processors)",
    )  # fmt: skip
    group.add_argument("--camera", type=integer(0, 9999), metavar="N", help="read camera number N")
    group.add_argument(
        "--backend",
        default="auto",
        metavar="NAME",
        help="OpenCV's camera backend: auto, v4l2, gstreamer, dshow, msmf, avfoundation or ffmpeg "
        "(default: auto)",
    )
    group.add_argument(
        "--size", type=size, metavar="WxH", help="request this frame size from the camera"
    )
    group.add_argument(
        "--fourcc",
        metavar="CODE",
        help="request this pixel format from the camera, such as MJPG, with which many USB cameras "
        "reach their full rate",
    )
    group.add_argument(
        "--fps",
        type=positive,
        metavar="RATE",
        help="frame rate: requested from a camera, or that of pictures and raw frames "
        "(default: 25)",
    )
    group.add_argument(
        "--stall",
        type=positive,
        default=5.0,
        metavar="SECONDS",
        help="reopen a stream after this time without a frame (default: 5)",
    )
    group.add_argument(
        "--give-up",
        type=positive,
        default=60.0,
        metavar="SECONDS",
        help="end after an outage of this length (default: 60; inf: never)",
    )


def check_input(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Check the input options, and set ``args.source``: one source, or ``None`` for ``--camera``;
    several are left in ``args.sources``."""
    if bool(args.sources) == (args.camera is not None):
        parser.error("pass a SOURCE or several, or --camera N")
    if args.end is not None and args.end <= args.start:
        parser.error("--end must be after --start")
    if args.raw is not None and (len(args.sources) != 1 or scheme(args.sources[0])):
        parser.error("--raw needs one file, or - for standard input")
    if len(args.sources) > 1 and any(path == STDIN or is_camera(path) for path in args.sources):
        parser.error("cameras and standard input are read one at a time")
    args.source = args.sources[0] if args.sources else None
    if args.camera is not None or is_live(args) or args.source == STDIN:
        return
    from fastfer.io.clips import find_clips

    args.sources = find_clips(args.sources)
    args.source = args.sources[0] if args.sources else args.source


def is_live(args: argparse.Namespace) -> bool:
    """Whether the source is a camera, or a URL, which may be one."""
    return args.camera is not None or is_camera(args.source) or bool(scheme(args.source))


def open_input(args: argparse.Namespace) -> FrameSource:
    """Open the source that ``args`` name.

    Raises:
        InputError: it does not exist, or cannot be played.
        UsageError: an option out of range.
    """
    from fastfer.io.open_source import CameraOptions, open_source
    from fastfer.io.video_files import ClipOptions

    camera = CameraOptions(args.backend, args.size, args.fps, args.stall, args.give_up, args.fourcc)
    clip = ClipOptions(args.start, args.end, args.every, args.hwaccel, args.raw)
    which = args.source if args.camera is None else args.camera
    return open_source(which, camera, clip, make_limits(args), isolate=args.isolate)


def seconds(text: str) -> float:
    """Parse seconds, minutes and seconds, or hours, minutes and seconds: 62.5, 1:02.5, 0:01:02."""
    *larger, last = text.split(":")
    if len(larger) > 2 or not all(re.fullmatch(r"\d+", part) for part in larger):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 62.5 or 0:01:02.5")
    total = 0.0
    for part in larger:
        total = 60 * (total + int(part))
    return total + number()(last)


def raw_format(text: str) -> tuple[int, int, str]:
    """Parse width, height and pixel format, as in ``640x480:yuv420p``."""
    dimensions, _, name = text.partition(":")
    width, height = size(dimensions)
    return width, height, name or "bgr24"
