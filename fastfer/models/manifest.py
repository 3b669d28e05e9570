"""The manifest of the bundled networks: size, SHA-256 and provenance of each file.

``manifest.json`` is written by ``python -m training.common.manifest`` and verified by ``fastfer
doctor``.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from fastfer.errors import ModelError

FOLDER: Final = Path(__file__).parent
FILE_NAME: Final = "manifest.json"
SCHEMA: Final = 1


@dataclass(frozen=True, slots=True)
class BundledModel:
    """A network of the package."""

    sha256: str
    bytes: int
    recipe: str
    """The script of the repository that trains it."""
    commit: str
    """The commit of the repository that added this file; empty until it is committed."""
    data: str
    """What it was trained on."""
    terms: str
    """Licence of the file, and terms of the data."""
    card: str
    """The model card, next to the file."""
    optional: bool = False
    """Whether some packages leave it out."""


def read(folder: Path = FOLDER) -> dict[str, BundledModel]:
    """The manifest of ``folder``, by file name.

    Raises:
        ModelError: code ``not_installed`` if there is none, ``invalid_model`` if it is damaged.
    """
    path = folder / FILE_NAME
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{path} is missing", code="not_installed") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from None
    names = {field.name for field in fields(BundledModel)}
    try:
        if content["schema"] != SCHEMA:
            raise ModelError(f"{path} has schema {content['schema']}, expected {SCHEMA}")
        return {
            name: BundledModel(**{key: value for key, value in entry.items() if key in names})
            for name, entry in content["models"].items()
        }
    except (AttributeError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is not a manifest of networks: {error}") from None


def fingerprint(path: Path) -> tuple[str, int]:
    """SHA-256 and size in bytes of a file."""
    data = path.read_bytes()
    return hashlib.sha256(data).hexdigest(), len(data)


def problems(folder: Path = FOLDER) -> list[str]:
    """What differs between the networks in ``folder`` and its manifest, a line each.

    Raises:
        ModelError: as :func:`read`.
    """
    found = []
    expected = read(folder)
    for name, model in expected.items():
        path = folder / name
        if not path.is_file():
            if not model.optional:
                found.append(f"{name} is missing")
        elif fingerprint(path) != (model.sha256, model.bytes):
            found.append(f"{name} differs from the manifest")
    unknown = sorted({path.name for path in folder.glob("*.onnx")} - expected.keys())
    return found + [f"{name} is not in the manifest" for name in unknown]
