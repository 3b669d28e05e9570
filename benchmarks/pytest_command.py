"""The command line of the files ``bench_*.py``, which pytest-benchmark runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from fastfer.cli.arguments import CommandParser

MORE = """\
All other options go to pytest, for example -k 'NAME' to measure a part, or
--benchmark-json=FILE; python -m pytest --help lists them."""


def require_pytest_benchmark() -> None:
    """Exit with a hint if pytest-benchmark is not installed."""
    if find_spec("pytest_benchmark") is None:
        sys.exit("the benchmarks need pytest-benchmark: pip install -e '.[bench]'")


def run(file: str, doc: str | None, arguments: Sequence[str] | None = None) -> int:
    """Measure ``file`` as a command; returns pytest's exit code.

    Args:
        file: ``__file__`` of the benchmark.
        doc: its docstring, which ``--help`` prints.
        arguments: options of the command; those of the process if None.
    """
    parser = CommandParser(
        prog=f"python -m benchmarks.{Path(file).stem}",
        usage="%(prog)s [-h] [OPTION OF PYTEST ...]",
        description=doc,
        epilog=MORE,
    )
    _, rest = parser.parse_known_args(arguments)
    require_pytest_benchmark()
    import pytest

    return pytest.main([file, *rest])
