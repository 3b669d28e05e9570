"""Combine folders of labelled photos into one:
``python -m training.detector.merge_labels A B --without-landmarks B --out MERGED``.

Images are linked, not copied. Landmarks of the folders named by ``--without-landmarks`` become
unknown: those that come from another detector are less exact than a face mesh's.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from fastfer.cli.arguments import CommandParser
from fastfer.errors import UsageError
from training.common.options import run_command
from training.detector import new_labels
from training.detector.photos import read_rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    p = CommandParser(
        prog="python -m training.detector.merge_labels", description=(__doc__ or "").splitlines()[0]
    )
    p.add_argument("folder", nargs="+", type=Path, help="folder with labels.jsonl and images/")
    p.add_argument(
        "--without-landmarks", type=Path, action="append", default=[], metavar="FOLDER",
        help="one of these folders whose landmarks are dropped; may be repeated",
    )  # fmt: skip
    p.add_argument("--out", type=Path, required=True, help="new folder")
    options = p.parse_args(arguments)
    return run_command(lambda: _run(options.folder, options.without_landmarks, options.out))


def _run(folders: list[Path], without_landmarks: list[Path], out: Path) -> int:
    unknown = [folder for folder in without_landmarks if folder not in folders]
    if unknown:
        raise UsageError(f"--without-landmarks {unknown[0]}: not one of the folders to combine")
    new_labels.check_new(out)
    merged = []
    for number, folder in enumerate(folders):
        rows = read_rows(folder)
        for row in rows:
            row["file"] = f"{number}/{row['file']}"
            if folder in without_landmarks:
                for face in row["faces"]:
                    face["lm"] = new_labels.UNKNOWN
        merged += rows
        print(f"{folder}: {len(rows)} photos")
    new_labels.write(out, [folder / "images" for folder in folders], merged)
    return 0


if __name__ == "__main__":
    sys.exit(main())
