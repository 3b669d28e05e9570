"""The command ``fastfer import``: convert a Keras network to ONNX, with the training package."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from fastfer.cli import terminal
from fastfer.errors import UsageError

_CONVERTER = "training.expression.import_keras"


def main(argv: Sequence[str] | None = None, prog: str = "fastfer import") -> int:
    """Run the command; returns its exit code."""
    return terminal.run(lambda: _run(argv, prog))


def _run(argv: Sequence[str] | None, prog: str) -> int:
    converter: Any
    try:
        converter = importlib.import_module(_CONVERTER)
    except ImportError as error:
        raise UsageError(
            f"import needs the training package ({error}); run it from a clone of the repository "
            "after: pip install -e '.[train]'",
            code="missing_package",
        ) from None
    code: int = converter.main(argv, prog)
    return code
