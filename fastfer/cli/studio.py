"""The command ``fastfer studio``: pages for the browser."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Final

from fastfer.cli import arguments, terminal
from fastfer.cli.serve import add_server_options, server_settings

EPILOG: Final = f"""\
examples:
  fastfer studio                                 open the browser
  fastfer studio --no-browser --port 7000        print the address only
  FASTFER_TOKEN=... fastfer studio --host 0.0.0.0 --no-browser

The interface of fastfer serve is there too; the page /docs describes it.

{arguments.EXIT_CODES}"""


def make_parser(prog: str = "fastfer studio") -> argparse.ArgumentParser:
    """The parser of the command."""
    parser = arguments.CommandParser(
        prog=prog,
        usage="%(prog)s [OPTION ...]",
        description="Analyse photos, the webcam and videos in the browser, on this machine.",
        epilog=EPILOG,
    )
    arguments.add_version(parser)
    parser.add_argument(
        "--browser",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="open the browser (default: yes)",
    )
    add_server_options(parser, port=7860)
    arguments.add_engine_options(parser)
    return parser


def main(argv: Sequence[str] | None = None, prog: str = "fastfer studio") -> int:
    """Run the command; returns its exit code."""
    return terminal.run(lambda: _run(make_parser(prog).parse_args(argv)))


def _run(args: argparse.Namespace) -> int:
    options = server_settings(args, extra="studio")
    from fastfer.server.run import run_server
    from fastfer.server.settings import private_folder
    from fastfer.studio.app import FACTORY

    engine = arguments.make_engine(args)
    engine.reader  # noqa: B018 - an unusable model ends the command here.
    with terminal.terminable(), private_folder() as folder:
        run_server(engine, options, folder, FACTORY, _opener(args.browser, options.token))
    return 0


def _opener(browser: bool, token: str | None) -> Callable[[str], None]:
    """A function that shows the address of the studio."""

    def show(url: str) -> None:
        terminal.say(f"listening on {url}/studio/; Ctrl-C ends it")
        if browser:
            import threading
            import webbrowser

            # A fragment stays in the browser: the token is in no log of requests.
            address = f"{url}/studio/" + ("" if token is None else f"#token={token}")
            # In a thread: some systems wait until the browser is closed.
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    return show
