"""The command ``fastfer watch``: many cameras in one process."""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastfer.cli import arguments, terminal
from fastfer.errors import FastferError
from fastfer.outputs.terminal_text import count_of

if TYPE_CHECKING:
    from fastfer.watch.watcher import Watcher

EPILOG = f"""\
examples:
  fastfer watch cameras.toml            until Ctrl-C
  fastfer watch cameras.toml --check    check the file only

kill -HUP reads the file again: cameras and outputs that did not change continue undisturbed.

{arguments.EXIT_CODES}"""


def make_parser(prog: str = "fastfer watch") -> argparse.ArgumentParser:
    """The parser of the command."""
    parser = arguments.CommandParser(
        prog=prog,
        usage="%(prog)s [OPTION ...] FILE",
        description="Analyse many cameras with one engine, into files, MQTT and webhooks.",
        epilog=EPILOG,
    )
    parser.add_argument("file", metavar="FILE", help="cameras and outputs, in TOML")
    arguments.add_version(parser)
    parser.add_argument("--check", action="store_true", help="check FILE and end")
    return parser


def main(argv: Sequence[str] | None = None, prog: str = "fastfer watch") -> int:
    """Run the command; returns its exit code."""
    return terminal.run(lambda: _run(make_parser(prog).parse_args(argv)))


def _run(args: argparse.Namespace) -> int:
    from fastfer.watch.config import read_config

    config = read_config(args.file)
    if args.check:
        names = ", ".join(camera.name for camera in config.cameras)
        print(f"{args.file}: {count_of(len(config.cameras), 'camera')}: {names}")
        return 0
    import cv2

    from fastfer.watch.watcher import Watcher

    cv2.setNumThreads(1)  # The frames of several cameras keep the processors busy.
    watcher = Watcher(config, terminal.say)
    with terminal.terminable():
        _reload_on_hangup(watcher, args.file)
        if watcher.metrics is not None:
            terminal.say(f"metrics at port {watcher.metrics.port}")
        try:
            watcher.run()
        finally:
            terminal.say(f"{count_of(watcher.frames, 'frame')} analysed")
            for name, sink in watcher.sinks.items():
                if sink.dropped:
                    terminal.say(f"{name}: {count_of(sink.dropped, 'frame')} lost")
    return 0


def _reload_on_hangup(watcher: Watcher, file: str) -> None:
    """Read the file again on SIGHUP; keep the old one if it is wrong."""
    if not hasattr(signal, "SIGHUP") or threading.current_thread() is not threading.main_thread():
        return
    from fastfer.watch.config import read_config

    def reload() -> None:
        try:
            watcher.reload(read_config(file))
        except FastferError as error:
            terminal.say(f"{error}; going on as before")

    signal.signal(signal.SIGHUP, lambda *_: watcher.call_soon(reload))


if __name__ == "__main__":
    terminal.leave(main())
