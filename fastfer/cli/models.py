"""``fastfer models``: what the store has, and getting more."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from fastfer.cli import terminal
from fastfer.detectors.registry import downloads
from fastfer.errors import ModelError
from fastfer.models import store


def main(argv: Sequence[str] | None = None, prog: str = "fastfer models") -> int:
    """Run the command; returns its exit code."""
    return terminal.run(lambda: _run(_parser(prog).parse_args(argv)))


def _run(args: argparse.Namespace) -> int:
    code: int = args.run(args)
    return code


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Networks that do not come with fastfer. Nothing is fetched unless you ask. "
        "FASTFER_HOME moves the store, FASTFER_OFFLINE=1 forbids the network.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    listing = commands.add_parser("list", help="what there is, and what of it is stored")
    listing.set_defaults(run=_list)
    for name, run, text in (
        ("download", _download, "fetch a network, check it, store it"),
        ("path", _path, "print where a stored network lies"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("name", metavar="NAME", choices=sorted(downloads()))
        command.set_defaults(run=run)
    verify = commands.add_parser("verify", help="check the hash of every stored network")
    verify.set_defaults(run=_verify)
    return parser


def _list(args: argparse.Namespace) -> int:
    for entry in downloads().values():
        state = store.state(entry)
        print(f"{entry.name}\t{state}\t{entry.size:,} bytes\t{entry.licence}\t{entry.description}")
        print(f"\tinput: {entry.input}\n\tfrom: {entry.url}\n\tsha256: {entry.sha256}")
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
    for name, model in downloads().items():
        if store.is_absent(model):
            print(f"{name}\tnot stored")
            continue
        try:
            store.load(model)
            print(f"{name}\tvalid")
        except ModelError as error:
            print(f"{name}\tdamaged")
            terminal.say(str(error))
            code = error.exit_code
    return code
