"""``fastfer COMMAND ...``: one command for each kind of input."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Final

from fastfer import __version__
from fastfer.cli import terminal

COMMANDS: Final = {
    "image": "photos in, a table, JSON, CSV or annotated pictures out",
    "video": "a video, camera or stream in; rows, events, plots or annotated video out",
    "models": "networks that do not come along: list, download, path, verify",
}
"""Names of modules with ``main(argv, prog) -> exit code``, and what they do."""

_USAGE: Final = "usage: fastfer COMMAND [OPTION ...]"


def main(argv: Sequence[str] | None = None) -> int:
    """Hand over to the command named first; returns its exit code."""
    name, *rest = (sys.argv[1:] if argv is None else argv) or [""]
    if name in COMMANDS:
        code: int = importlib.import_module(f"fastfer.cli.{name}").main(rest, f"fastfer {name}")
        return code
    if name == "--version":
        return terminal.run(_version)
    if name in ("-h", "--help"):
        return terminal.run(_help)
    problem = f"there is no command {name!r}" if name else "a command is missing"
    print(f"{_USAGE}\nfastfer: {problem}; there is {', '.join(COMMANDS)}.", file=sys.stderr)
    return 2


def _version() -> int:
    print(f"fastfer {__version__}")
    return 0


def _help() -> int:
    print(_USAGE, "\nFacial expressions from photos, videos and cameras.\n\ncommands:")
    for command, what in COMMANDS.items():
        print(f"  {command:8}{what}")
    print("\nfastfer COMMAND --help says more.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
