"""The command ``fastfer doctor``: versions, bundled networks, and checks of the installation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from fastfer import __version__
from fastfer.cli import terminal
from fastfer.cli.arguments import CommandParser
from fastfer.errors import ExtensionMissingError


def main(argv: Sequence[str] | None = None, prog: str = "fastfer doctor") -> int:
    """Run the command; returns its exit code."""
    return terminal.run(lambda: _run(argv, prog))


def _run(argv: Sequence[str] | None, prog: str) -> int:
    parser = CommandParser(
        prog=prog,
        description="Check the installation; print versions and networks for bug reports.",
        epilog="exit codes:\n  0    no problem found\n  1    a problem, with advice",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args(argv)
    from fastfer.diagnostics import doctor

    info = read_info()
    findings = doctor()
    problems = [finding for finding in findings if finding.level == "problem"]
    if args.json:
        checks = [
            {name: getattr(finding, name) for name in ("level", "subject", "message", "advice")}
            for finding in findings
        ]
        print(json.dumps(info | {"checks": checks}, indent=2))
    else:
        print_info(info)
        print("\n".join(map(str, findings)))
        print(f"{len(problems)} problem{'' if len(problems) == 1 else 's'} found")
    return 1 if problems else 0


def read_info() -> dict[str, Any]:
    """:func:`fastfer.build_info`; the version alone if the compiled module cannot be loaded."""
    from fastfer.diagnostics import build_info

    try:
        return build_info()
    except ExtensionMissingError:  # The checks report it.
        return {"version": __version__}


def print_info(info: dict[str, Any]) -> None:
    """Print the result of :func:`read_info`, one line for each value."""
    print(f"fastfer {info['version']}")
    for key, value in info.items():
        if key == "models":
            print(*(f"  {name}  sha256 {digest}" for name, digest in value.items()), sep="\n")
        elif key != "version":
            text = ", ".join(value) if isinstance(value, list) else value
            print(f"  {key.replace('_', ' ')}: {text}")
