"""The command ``fastfer models``: networks that are not bundled."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict

from fastfer.cli import terminal
from fastfer.cli.arguments import CommandParser
from fastfer.detectors.registry import downloads
from fastfer.errors import ModelError
from fastfer.models import store


def main(argv: Sequence[str] | None = None, prog: str = "fastfer models") -> int:
    """Run the command; returns its exit code."""
    return terminal.run(lambda: _run(make_parser(prog).parse_args(argv)))


def _run(args: argparse.Namespace) -> int:
    code: int = args.run(args)
    return code


def make_parser(prog: str = "fastfer models") -> argparse.ArgumentParser:
    """The parser of the command."""
    parser = CommandParser(
        prog=prog,
        description="List, download and verify networks that are not bundled.",
        epilog="Nothing is downloaded without a request. FASTFER_HOME sets the folder of the "
        "store;\nFASTFER_OFFLINE=1 forbids downloads.\n\n"
        "exit codes: 0 success; 1 output failed; 2 usage error; 4 a network is missing or damaged, "
        "or the download failed",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    listing = commands.add_parser("list", help="print the networks, one per line")
    listing.add_argument("--json", action="store_true", help="print one JSON array with all fields")
    listing.set_defaults(run=_list)
    for name, run, text in (
        ("download", _download, "download and verify a network; print its path"),
        ("path", _path, "verify a stored network; print its path"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("name", metavar="NAME", choices=sorted(downloads()))
        command.set_defaults(run=run)
    verify = commands.add_parser("verify", help="verify the SHA-256 of every stored network")
    verify.set_defaults(run=_verify)
    return parser


def _list(args: argparse.Namespace) -> int:
    models = downloads().values()
    if args.json:
        rows = [asdict(model) | {"state": store.state(model)} for model in models]
        print(json.dumps(rows, indent=2))
        return 0
    table = [("NAME", "STATE", "SIZE", "LICENCE", "DESCRIPTION")]
    for model in models:
        size = f"{model.size / 1000:,.0f} kB"
        table.append((model.name, store.state(model), size, model.licence, model.description))
    _print_table(table)
    return 0


def _download(args: argparse.Namespace) -> int:
    print(store.download(downloads()[args.name]))
    return 0


def _path(args: argparse.Namespace) -> int:
    model = downloads()[args.name]
    store.load(model)
    print(store.path_of(model))
    return 0


def _verify(args: argparse.Namespace) -> int:
    code = 0
    table = [("NAME", "STATE")]
    for name, model in downloads().items():
        state = "not downloaded"
        if not store.is_absent(model):
            try:
                store.load(model)
                state = "valid"
            except ModelError as error:
                terminal.say(str(error))
                state = "damaged"
                code = error.exit_code
        table.append((name, state))
    _print_table(table)
    return code


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
