"""The command ``fastfer``, and ``python -m fastfer``."""

from __future__ import annotations

from fastfer.cli import interrupts

TYPE_CHECKING = False  # Known to type checkers; importing typing takes time at the start.
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> NoReturn:
    """Run the command and end the process with its exit code."""
    interrupts.end_quietly()
    from fastfer.cli import terminal
    from fastfer.cli.main import main

    terminal.leave(main())


if __name__ == "__main__":
    main()
