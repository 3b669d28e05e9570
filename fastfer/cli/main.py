"""``fastfer COMMAND ...``: dispatch to the module of each command."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Final

from fastfer.cli import terminal
from fastfer.errors import UsageError

COMMANDS: Final = {
    "image": ("image", "analyse photos: table, JSON Lines, CSV or annotated copies"),
    "video": ("video", "analyse a video, camera or stream: rows, events, plot, annotated video"),
    "studio": ("studio", "analyse photos, the webcam and videos in the browser"),
    "serve": ("serve", "answer HTTP requests: pictures, videos, streams"),
    "batch": ("batch", "analyse folders, archives and object stores into one table, resumable"),
    "watch": ("watch", "analyse many cameras into files, MQTT and webhooks"),
    "merge": ("merge", "join tables of several jobs into one"),
    "models": ("models", "list, download and verify networks that are not bundled"),
    "doctor": ("doctor", "check the installation; print versions for bug reports"),
    "import": ("import_keras", "convert a Keras expression network to ONNX"),
}
"""Name to module with ``main(argv, prog) -> exit code``, and what the command does."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command named first; returns its exit code."""
    name, *rest = (sys.argv[1:] if argv is None else argv) or [""]
    if name in COMMANDS:
        module = importlib.import_module(f"fastfer.cli.{COMMANDS[name][0]}")
        code: int = module.main(rest, f"fastfer {name}")
        return code
    if name == "--version":
        return terminal.run(_version)
    if name in ("-h", "--help"):
        return terminal.run(_help)
    problem = f"unknown command {name!r}" if name else "missing command"
    terminal.say(f"error: {problem}; choose from {', '.join(COMMANDS)} (see fastfer --help)")
    return UsageError.exit_code


def _version() -> int:
    from fastfer.cli import doctor

    doctor.print_info(doctor.read_info())
    print("fastfer doctor checks this installation")
    return 0


def _help() -> int:
    print(
        "usage: fastfer COMMAND [OPTION ...]\n\n"
        "Facial expressions in photos, videos and camera streams.\n\ncommands:"
    )
    for name, (_, text) in COMMANDS.items():
        print(f"  {name:8}{text}")
    print("\nSee fastfer COMMAND --help for the options of a command.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
