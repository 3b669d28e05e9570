"""Write the manifest of the bundled networks, or check it.

    python -m training.common.manifest [--check]

Run it after a recipe with --install, or after copying a network into fastfer/models by hand, and
again after the network is committed: the manifest holds size, SHA-256 and provenance of each
network, and the commit that added it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from fastfer.cli.arguments import CommandParser
from fastfer.errors import ModelError
from fastfer.models import manifest
from fastfer.models.manifest import BundledModel
from training.common.options import run_command

PHOTOS = "MIT; photos of research sets with their own terms, some non-commercial, not included"
PROVENANCE: dict[str, dict[str, Any]] = {
    "expression*.onnx": {
        "recipe": "training/recipes/fer2013_fastfer.sh",
        "data": "FER-2013 Training with FER+ votes",
        "terms": "MIT; FER-2013 for training and tests, not included; FER+ votes MIT",
        "card": "expression.md",
    },
    "expression_float32.onnx": {"optional": True},  # wheels for x86-64
    "nano.onnx": {
        "recipe": "training/recipes/facedet_nano.sh",
        "data": "public photos with faces, see the card",
        "terms": PHOTOS,
        "card": "nano.md",
    },
    "refiner.onnx": {
        "recipe": "training/recipes/facedet_nano.sh",
        "data": "crops of the photos of nano.onnx",
        "terms": PHOTOS,
        "card": "nano.md",
    },
    "attributes.onnx": {
        "recipe": "training/recipes/fairface_attributes.sh",
        "data": "FairFace, training part",
        "terms": "MIT; FairFace CC BY 4.0, not included",
        "card": "attributes.md",
        "optional": True,  # FASTFER_ATTRIBUTES=0
    },
}
"""Recipe, data and terms by file name; of several patterns that match, all apply in this order."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = CommandParser(
        prog="python -m training.common.manifest", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if a network differs from it"
    )
    parser.add_argument(
        "--folder", type=Path, default=manifest.FOLDER, help="default: fastfer/models"
    )
    args = parser.parse_args(argv)
    return run_command(lambda: check(args.folder) if args.check else write(args.folder))


def check(folder: Path) -> int:
    """Print what differs; returns 1 if anything does."""
    problems = manifest.problems(folder) + wrong_commits(folder)
    print("\n".join(problems) or f"{folder / manifest.FILE_NAME} is up to date")
    return 1 if problems else 0


def write(folder: Path) -> int:
    """Write the manifest of all networks in ``folder``."""
    before = manifest.read(folder) if (folder / manifest.FILE_NAME).is_file() else {}
    models = {path.name: describe(path, before.get(path.name)) for path in folder.glob("*.onnx")}
    content = {name: asdict(models[name]) for name in sorted(models)}
    text = json.dumps({"schema": manifest.SCHEMA, "models": content}, indent=2)
    (folder / manifest.FILE_NAME).write_text(text + "\n", encoding="utf-8")
    for name, model in sorted(models.items()):
        state = "unchanged" if before.get(name) == model else "updated"
        commit = model.commit[:12] or "not committed: commit it and run this again"
        print(f"{name}: {model.bytes:,} bytes, {model.sha256[:12]}, {state}, {commit}")
    return 0


def wrong_commits(folder: Path) -> list[str]:
    """The networks that the commit of their entry does not hold, a line each; none where there is
    no history to compare with."""
    if _git(folder, "rev-parse", "--is-shallow-repository") != "false":
        return []
    return [
        f"{name}: commit {model.commit} does not hold this file"
        for name, model in manifest.read(folder).items()
        if model.commit
        and (folder / name).is_file()
        and _git(folder, "rev-parse", f"{model.commit}:./{name}")
        != _git(folder, "hash-object", name)
    ]


def describe(path: Path, before: BundledModel | None) -> BundledModel:
    """The entry of ``path``, whose earlier entry is ``before``.

    Raises:
        ModelError: :data:`PROVENANCE` does not know the file.
    """
    matching = [entry for name, entry in PROVENANCE.items() if fnmatch(path.name, name)]
    if not matching:
        raise ModelError(f"{path.name}: add its recipe, data and terms to {__file__}")
    sha256, size = manifest.fingerprint(path)
    return BundledModel(
        sha256=sha256,
        bytes=size,
        commit=before.commit
        if before and before.sha256 == sha256 and before.commit
        else commit_of(path),
        **{key: value for entry in matching for key, value in entry.items()},
    )


def commit_of(path: Path) -> str:
    """The commit that added ``path``; empty if it is not committed."""
    changed = _git(path.parent, "status", "--porcelain", "--", path.name)
    return "" if changed else _git(path.parent, "log", "-1", "--format=%H", "--", path.name)


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder.absolute()), *arguments],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
