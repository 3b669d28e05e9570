"""The options that keep people and their landmarks out of outputs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastfer.display.anonymize import PrivacyFilter


def add_privacy_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of :func:`make_privacy_filter`."""
    group = parser.add_argument_group("privacy")
    group.add_argument(
        "--blur",
        choices=("faces", "eyes"),
        help="hide the faces that were found, or their eyes, in all pictures that are written",
    )
    group.add_argument(
        "--pixelate",
        action="store_true",
        help="hide by blocks instead of a blur; without --blur, faces",
    )
    group.add_argument(
        "--no-landmarks",
        dest="landmarks",
        action="store_false",
        help="write no landmarks of faces",
    )


def make_privacy_filter(args: argparse.Namespace) -> PrivacyFilter:
    """The filter that the options ask for."""
    from fastfer.display.anonymize import privacy_filter

    return privacy_filter(args.blur, pixelate=args.pixelate, landmarks=args.landmarks)
