"""``python -m fastfer.video``: see :mod:`fastfer.cli.video`."""

from fastfer.cli import interrupts

if __name__ == "__main__":
    interrupts.end_quietly()

from fastfer.cli import terminal
from fastfer.cli.video import main

if __name__ == "__main__":
    terminal.leave(main())
