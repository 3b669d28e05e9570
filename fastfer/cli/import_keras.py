"""The command ``fastfer import``: convert a Keras network to ONNX, with the training package."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from fastfer.cli import terminal
from fastfer.cli.arguments import CommandParser
from fastfer.errors import UsageError

_CONVERTER = "training.expression.import_keras"


def main(argv: Sequence[str] | None = None, prog: str = "fastfer import") -> int:
    """Run the command; returns its exit code."""
    return terminal.run(lambda: _run(argv, prog))


def _run(argv: Sequence[str] | None, prog: str) -> int:
    parser = CommandParser(
        prog=prog,
        description="Convert a Keras expression network (.h5, .hdf5 or .keras) to an ONNX file for "
        "--model.\nNeeds a clone of the repository with the train extra. Further options are those "
        f"of\npython -m {_CONVERTER}.",
    )
    parser.add_argument("model", metavar="MODEL", help="an .h5, .hdf5 or .keras file")
    parser.add_argument("--out", required=True, metavar="FILE", help="the .onnx file to write")
    args, rest = parser.parse_known_args(argv)
    converter: Any
    try:
        converter = importlib.import_module(_CONVERTER)
    except ImportError as error:
        raise UsageError(
            f"import needs the training package ({error}); run it from a clone of the repository "
            "after: pip install -e '.[train]'",
            code="missing_package",
        ) from None
    code: int = converter.main([args.model, "--out", args.out, *rest])
    return code
