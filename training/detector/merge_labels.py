"""Combine folders of labelled photos into one:
``python -m training.detector.merge_labels A B --without-landmarks B --out MERGED``.

Images are linked, not copied. Landmarks of the folders named by ``--without-landmarks`` become
unknown: those that come from another detector are less exact than a face mesh's.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from fastfer.cli.arguments import CommandParser
from fastfer.errors import InputError, UsageError
from training.common.options import run_command
from training.detector.new_labels import UNKNOWN


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
    if (out / "labels.jsonl").exists():
        raise UsageError(f"{out} holds labels already; choose another --out")
    (out / "images").mkdir(parents=True, exist_ok=True)
    with (out / "labels.jsonl").open("w", encoding="utf-8") as file:
        for number, folder in enumerate(folders):
            try:
                lines = (folder / "labels.jsonl").read_text(encoding="utf-8").splitlines()
            except OSError as error:
                raise InputError(f"{folder / 'labels.jsonl'}: {error.strerror}") from None
            (out / "images" / str(number)).symlink_to((folder / "images").resolve())
            for row in map(json.loads, lines):
                row["file"] = f"{number}/{row['file']}"
                if folder in without_landmarks:
                    for face in row["faces"]:
                        face["lm"] = UNKNOWN
                file.write(json.dumps(row) + "\n")
            print(f"{folder}: {len(lines)} photos")
    return 0


if __name__ == "__main__":
    sys.exit(main())
